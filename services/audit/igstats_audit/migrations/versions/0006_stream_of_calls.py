"""Which stream the position of the access log counts in, by when it was made."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0006"
down_revision = "audit_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("heads", sa.Column("stream_made_at", sa.DateTime(timezone=True)))
