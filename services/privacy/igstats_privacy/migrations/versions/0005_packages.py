"""How a holder described its share of a package when it sent it."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0005"
down_revision = "privacy_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("export_shares", sa.Column("description", sa.LargeBinary))
