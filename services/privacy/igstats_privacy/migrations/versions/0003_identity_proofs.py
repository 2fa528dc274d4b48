"""Proofs of identity while a request waits for them, and how many codes went to an address today."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0003"
down_revision = "privacy_0002"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "proofs",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("request_id", "method", "tier", "state")),
        sa.Column("channel", sa.LargeBinary, nullable=False),
        sa.Column("covers", sa.ARRAY(sa.LargeBinary), nullable=False),
        sa.Column("secret", sa.LargeBinary),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("tries", "sends")),
        *(_time(name, nullable=True) for name in ("locked_until", "sent_at")),
        *map(_time, ("created_at", "expires_at")),
        sa.PrimaryKeyConstraint("request_id", "method", "channel"),
    )
    op.create_index("proofs_secret", "proofs", ["secret"], unique=True, postgresql_where="secret IS NOT NULL")
    op.create_table(
        "mailings",
        sa.Column("channel", sa.LargeBinary, nullable=False),
        _time("day"),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("channel", "day"),
    )
