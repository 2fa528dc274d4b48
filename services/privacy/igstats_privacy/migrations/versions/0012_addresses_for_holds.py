"""Addresses for letters stay as long as a hold keeps something back of their request."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0012"
down_revision = "privacy_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("needed_until", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()"))
    op.add_column("correspondents", column)
    op.execute("UPDATE correspondents SET needed_until = created_at")
