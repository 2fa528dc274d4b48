"""Holds, and whose data they keep."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0008"
down_revision = "privacy_0007"
branch_labels = None
depends_on = None


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _times(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in names]


def _lists(*names: str, default: str | None = None) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.ARRAY(sa.Text), nullable=False, server_default=default) for name in names]


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.Text, primary_key=True),
        *_lists("holders", "stores"),
        *_texts("ground", "reason"),
        *_times("until_at", "review_at", "placed_at"),
        *_texts("placed_by"),
        sa.Column("released_at", sa.DateTime(timezone=True)),
        *_lists("kept_back", "resumed", default="{}"),
    )
    op.create_index("holds_in_force", "holds", ["until_at"], postgresql_where="released_at IS NULL")
    op.create_table(
        "hold_tokens",
        sa.Column("token", sa.LargeBinary, nullable=False),
        *_texts("hold_id"),
        *_times("until_at"),
        sa.PrimaryKeyConstraint("token", "hold_id"),
    )
    op.create_index("hold_tokens_hold_id", "hold_tokens", ["hold_id"])
