"""What the doors for other machines remember."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0005"
down_revision = "gateway_0004"
branch_labels = None
depends_on = None

_KEY = ("door", "partner_id", "external_id")


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _key() -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in _KEY]


def upgrade() -> None:
    op.create_table(
        "agent_tokens",
        sa.Column("agent_id", sa.Text, primary_key=True),
        sa.Column("token_digest", sa.LargeBinary, nullable=False),
        _time("created_at"),
    )
    op.create_table(
        "partner_requests",
        *_key(),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("status_code", sa.Text, nullable=False),
        _time("created_at"),
    )
    op.create_table(
        "partner_callbacks",
        *_key(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("told", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        _time("failing_since", nullable=True),
        _time("next_at", nullable=True),
        _time("created_at"),
        sa.ForeignKeyConstraint(_KEY, [f"partner_requests.{name}" for name in _KEY], ondelete="CASCADE"),
    )
    op.create_index(
        "partner_callbacks_next_at", "partner_callbacks", ["next_at"], postgresql_where="next_at IS NOT NULL"
    )
