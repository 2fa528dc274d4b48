"""Two logs in day partitions, with tiles instead of nodes.

What the old log held is development data and goes.
"""

import sqlalchemy as sa
from alembic import op

revision = "audit_0002"
down_revision = "audit_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("entries", "nodes", "head", "calls"):
        op.drop_table(table)
    _create_heads()
    _create_entries()
    _create_calls()


def _create_heads() -> None:
    op.create_table(
        "heads",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("compact_range", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("minimum_index", sa.BigInteger, nullable=False),
        sa.Column("stream_sequence", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
    )
    op.create_table(
        "log_days",
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("first_index", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", "day"),
    )
    op.create_table(
        "tiles",
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "place"),
    )
    # Hashes do not compress, and the last row of a level grows often.
    op.execute("ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL")


def _create_entries() -> None:
    op.create_table(
        "entry_ids",
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False, index=True),
        sa.Column("request_id", sa.Text, nullable=False),
    )
    of_requests = sa.text("request_id <> ''")
    op.create_index("entry_ids_request_id", "entry_ids", ["request_id", "index"], postgresql_where=of_requests)
    op.create_table(
        "evidence_entries",
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("entry_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("index", "day"),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_table(
        "access_entries",
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("index", "day"),
        postgresql_partition_by="RANGE (day)",
    )


def _create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("subject_token", sa.LargeBinary),
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("call_id", "day"),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("calls_subject_token", "calls", ["subject_token", "called_at", "call_id"])
    op.create_index("calls_called_at", "calls", ["called_at", "call_id"])
