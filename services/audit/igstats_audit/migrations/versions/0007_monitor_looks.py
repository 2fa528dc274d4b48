"""When the monitor last looked at all of each log, for the security audit."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0007"
down_revision = "audit_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor_looks",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
    )
