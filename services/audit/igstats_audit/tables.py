"""What the audit service stores, and what each column means for the persons behind it."""

from igstats_kit.declare import (
    Declarations,
    anchor,
    days,
    declared,
    delete,
    impersonal,
    impersonal_store,
    personal,
    plain,
)
from igstats_kit.tables import KIT_TABLES
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

CALL_DAYS = 30
RECORD_DAYS = 30

metadata = MetaData()

entries = Table(
    "entries",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False, info=plain()),
    Column("entry_id", Text, nullable=False, unique=True, info=plain()),
    Column("kind", Text, nullable=False, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    Column("producer", Text, nullable=False, info=plain()),
    Column("leaf", LargeBinary, nullable=False, info=plain()),
    Column("salt", LargeBinary, nullable=False, info=plain()),
    Column("payload", LargeBinary, nullable=False, info=plain()),
    Column("occurred_at", DateTime(timezone=True), nullable=False, info=plain()),
    info=impersonal("evidence: receipts, closings and records, which hold ids, counts and digests only"),
)
Index("entries_request_id", entries.c.request_id, entries.c.index, postgresql_where=entries.c.request_id != "")

nodes = Table(
    "nodes",
    metadata,
    Column("level", SmallInteger, nullable=False, info=plain()),
    Column("place", BigInteger, nullable=False, info=plain()),
    Column("hash", LargeBinary, nullable=False, info=plain()),
    PrimaryKeyConstraint("level", "place"),
    info=impersonal("hashes of the evidence log's complete subtrees; those of leaves come from the entries"),
)

head = Table(
    "head",
    metadata,
    Column("log", Text, primary_key=True, info=plain()),
    Column("size", BigInteger, nullable=False, info=plain()),
    Column("root", LargeBinary, nullable=False, info=plain()),
    Column("compact_range", LargeBinary, nullable=False, info=plain()),
    Column("epoch", BigInteger, nullable=False, info=plain()),
    Column("checkpoint", Text, nullable=False, info=plain()),
    info=impersonal("newest state of the evidence log"),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, nullable=False, info=plain(exported=True)),
    Column("day", Date, nullable=False, info=plain()),
    Column("account_id", Text, info=plain(exported=True)),
    Column("subject_token", LargeBinary, index=True, info=plain()),
    Column("key_id", Text, nullable=False, info=plain(exported=True)),
    Column("method", Text, nullable=False, info=personal("user.behavior")),
    Column("protocol", Text, nullable=False, info=plain(exported=True)),
    Column("status", Integer, nullable=False, info=plain(exported=True)),
    Column("reason", Text, nullable=False, info=plain(exported=True)),
    Column("called_at", DateTime(timezone=True), nullable=False, info=plain(exported=True)),
    Column("latency_us", BigInteger, nullable=False, info=plain(exported=True)),
    Column("sealed_client", LargeBinary, nullable=False, info=personal("user.device", exported=False)),
    PrimaryKeyConstraint("call_id", "day"),
    Index("calls_account_id", "account_id", "day", "called_at", "call_id"),
    postgresql_partition_by="RANGE (day)",
    info=declared(
        subjects=[anchor("account", key="account_id", tokens=["subject_token"])],
        purpose="security and troubleshooting",
        legal_basis="legitimate_interest",
        retention=days(CALL_DAYS, column="day", partitioned=True),
        on_erase=delete(),
    ),
)

TABLES = tuple(metadata.sorted_tables)
RECORDS_DATA = impersonal_store("audit records on their way to the evidence log", days(RECORD_DAYS))
DECLARATIONS = Declarations([*TABLES, *KIT_TABLES], {"RECORDS": RECORDS_DATA})
