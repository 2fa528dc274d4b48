"""Numbers of what a service sends to the logs."""

import sqlalchemy as sa
from alembic import op

revision = "kit_0002"
down_revision = "kit_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    counters = op.create_table(
        "producer_sequences",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"log": "evidence", "last": 0}, {"log": "access", "last": 0}])
    for table in ("outbox", "task_receipts"):
        op.add_column(table, sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"))
