"""Needles stay, sealed, until the deep sweeps are done."""

import sqlalchemy as sa
from alembic import op

revision = "kit_0004"
down_revision = "kit_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    when = sa.DateTime(timezone=True)
    op.add_column("needles", sa.Column("created_at", when, nullable=False, server_default=sa.func.now()))
    op.add_column("needles", sa.Column("erased_at", when))
    op.add_column("needles", sa.Column("next_at", when))
    op.create_index("needles_created_at", "needles", ["created_at"])
    op.create_index("needles_next_at", "needles", ["next_at"])
