"""Objections, and corrections that outlive the next sync."""

import sqlalchemy as sa
from alembic import op

revision = "kit_0003"
down_revision = "kit_0002"
branch_labels = None
depends_on = None


def _when(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    op.create_table(
        "objections",
        sa.Column("token", sa.LargeBinary, primary_key=True),
        sa.Column("right", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        _when("since"),
    )
    op.create_table(
        "pins",
        sa.Column("token", sa.LargeBinary, primary_key=True),
        sa.Column("field", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        _when("created_at"),
    )
