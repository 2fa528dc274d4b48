"""Letters that were withheld are remembered apart from those written, and tried again."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0017"
down_revision = "privacy_0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    letters = sa.Column("withheld", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"))
    op.add_column("correspondents", letters)
    op.add_column("correspondents", sa.Column("again_at", sa.DateTime(timezone=True)))
