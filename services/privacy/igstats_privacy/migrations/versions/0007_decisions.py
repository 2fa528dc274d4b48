"""Decisions of officers, and when a request was approved."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0007"
down_revision = "privacy_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("approved_at", sa.DateTime(timezone=True)))
    op.create_index("requests_parent_id", "requests", ["parent_id"], postgresql_where="parent_id <> ''")
    op.create_table(
        "decisions",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("request_id", "kind", "officer")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "explanation")),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "kind", "officer"),
    )
