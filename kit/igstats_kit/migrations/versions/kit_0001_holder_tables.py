"""Outbox, inbox, fences and receipts of a service."""

import sqlalchemy as sa
from alembic import op

revision = "kit_0001"
down_revision = None
branch_labels = ("kit",)
depends_on = None


def _when() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        _when(),
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        _when(),
        sa.PrimaryKeyConstraint("consumer", "event_id"),
    )
    op.create_index("inbox_created_at", "inbox", ["created_at"])
    op.create_table(
        "parked",
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        _when(),
        sa.PrimaryKeyConstraint("consumer", "event_id"),
    )
    for fence in ("tombstones", "restrictions"):
        op.create_table(
            fence,
            sa.Column("token", sa.LargeBinary, primary_key=True),
            sa.Column("request_id", sa.Text, nullable=False),
            _when(),
        )
    _create_receipt_tables()


def _create_receipt_tables() -> None:
    op.create_table(
        "subject_keys",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "store", "key"),
    )
    op.create_table(
        "needles",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "replayed_erasures",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("erased", sa.BigInteger, nullable=False),
        _when(),
        sa.PrimaryKeyConstraint("request_id", "store"),
    )
    op.create_table(
        "task_receipts",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("phase", sa.Integer, nullable=False),
        sa.Column("receipt", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        _when(),
    )
    op.create_index("ix_task_receipts_request_id", "task_receipts", ["request_id"])
    op.create_table(
        "holder_state",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("erasure_sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "retention_runs",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        _when(),
        sa.PrimaryKeyConstraint("run_id", "store"),
    )
