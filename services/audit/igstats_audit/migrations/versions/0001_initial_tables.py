"""Evidence log and API log."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0001"
down_revision = None
branch_labels = ("audit",)
depends_on = None


def upgrade() -> None:
    _create_log()
    _create_calls()


def _create_log() -> None:
    op.create_table(
        "entries",
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
    )
    of_requests = sa.text("request_id <> ''")
    op.create_index("entries_request_id", "entries", ["request_id", "index"], postgresql_where=of_requests)
    op.create_table(
        "nodes",
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("level", "place"),
    )
    op.create_table(
        "head",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("compact_range", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("checkpoint", sa.Text, nullable=False),
    )


def _create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("account_id", sa.Text),
        sa.Column("subject_token", sa.LargeBinary),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latency_us", sa.BigInteger, nullable=False),
        sa.Column("sealed_client", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("call_id", "day"),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("ix_calls_subject_token", "calls", ["subject_token"])
    op.create_index("calls_account_id", "calls", ["account_id", "day", "called_at", "call_id"])
