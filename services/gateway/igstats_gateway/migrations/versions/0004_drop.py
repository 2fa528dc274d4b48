"""Pulls of California's DROP, their lists and items."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0004"
down_revision = "gateway_0003"
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "drop_pulls",
        sa.Column("pull_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        _moment("created_at"),
        _moment("reported_at", nullable=True),
    )
    op.create_index("drop_pulls_open", "drop_pulls", ["state"], unique=True, postgresql_where=sa.text("state = 'OPEN'"))
    op.create_table(
        "drop_lists",
        sa.Column("pull_id", sa.Text, sa.ForeignKey("drop_pulls.pull_id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("pull_id", "name"),
    )
    op.create_table(
        "drop_items",
        sa.Column("pull_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("token", sa.LargeBinary),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("wish", sa.Text),
        sa.Column("status_code", sa.Text),
        sa.Column("outcome", sa.SmallInteger),
        sa.Column("amending", sa.Boolean, nullable=False, server_default="false"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("pull_id", "item_id"),
    )
    for name, columns, where in (
        ("drop_items_waiting", ["pull_id", "item_id"], "outcome IS NULL"),
        ("drop_items_amending", ["pull_id", "name"], "amending"),
    ):
        op.create_index(name, "drop_items", columns, postgresql_where=sa.text(where))
    op.create_index("drop_items_name", "drop_items", ["pull_id", "name", "item_id"])
    op.create_index("drop_items_item_id", "drop_items", ["item_id"])
    op.create_index(op.f("ix_drop_items_token"), "drop_items", ["token"])
