"""What the audit service stores, and what each column means for the persons behind it."""

from igstats_kit.declare import (
    Declarations,
    Revealed,
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
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from igstats_audit import finding_tables

CALL_DAYS = 30
EVIDENCE_DAYS = 730
RECORD_DAYS = 30

metadata = finding_tables.metadata  # the tables of keys and of security audits are in it, too

heads = Table(
    "heads",
    metadata,
    Column("log", Text, primary_key=True, info=plain()),
    Column("size", BigInteger, nullable=False, info=plain()),
    Column("root", LargeBinary, nullable=False, info=plain()),
    Column("compact_range", LargeBinary, nullable=False, info=plain()),
    Column("epoch", BigInteger, nullable=False, info=plain()),
    Column("checkpoint", Text, nullable=False, info=plain()),
    Column("minimum_index", BigInteger, nullable=False, info=plain()),
    Column("stream_sequence", BigInteger, nullable=False, info=plain()),
    Column("day", Date, nullable=False, info=plain()),
    Column("stream_made_at", DateTime(timezone=True), info=plain()),
    info=impersonal("newest state of each log"),
)

log_days = Table(
    "log_days",
    metadata,
    Column("log", Text, nullable=False, info=plain()),
    Column("day", Date, nullable=False, info=plain()),
    Column("first_index", BigInteger, nullable=False, info=plain()),
    PrimaryKeyConstraint("log", "day"),
    info=impersonal("first entry of each day that a log still keeps"),
)

entry_ids = Table(
    "entry_ids",
    metadata,
    Column("entry_id", Text, primary_key=True, info=plain()),
    Column("index", BigInteger, nullable=False, info=plain()),
    Column("day", Date, nullable=False, index=True, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    info=impersonal(
        "which evidence is in the log already, and which belongs to a request",
        retention=days(EVIDENCE_DAYS, column="day", own=True),
    ),
)
Index("entry_ids_request_id", entry_ids.c.request_id, entry_ids.c.index, postgresql_where=entry_ids.c.request_id != "")

evidence_entries = Table(
    "evidence_entries",
    metadata,
    Column("index", BigInteger, nullable=False, info=plain()),
    Column("day", Date, nullable=False, info=plain()),
    Column("entry_id", Text, nullable=False, info=plain()),
    Column("kind", Text, nullable=False, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    Column("producer", Text, nullable=False, info=plain()),
    Column("sequence", BigInteger, nullable=False, info=plain()),
    Column("leaf", LargeBinary, nullable=False, info=plain()),
    Column("key_id", Text, nullable=False, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=plain()),
    Column("occurred_at", DateTime(timezone=True), nullable=False, info=plain()),
    PrimaryKeyConstraint("index", "day"),
    postgresql_partition_by="RANGE (day)",
    info=impersonal(
        "evidence: receipts, closings and records, which hold ids, counts and digests only",
        retention=days(EVIDENCE_DAYS, column="day", partitioned=True, own=True),
    ),
)

access_entries = Table(
    "access_entries",
    metadata,
    Column("index", BigInteger, nullable=False, info=plain()),
    Column("day", Date, nullable=False, info=plain()),
    Column("sequence", BigInteger, nullable=False, info=plain()),
    Column("leaf", LargeBinary, nullable=False, info=plain()),
    Column("key_id", Text, nullable=False, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=plain()),
    PrimaryKeyConstraint("index", "day"),
    postgresql_partition_by="RANGE (day)",
    info=impersonal(
        "API requests as commitments, and as ciphertext that is readable only while its data key exists",
        retention=days(CALL_DAYS, column="day", partitioned=True, own=True),
    ),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, nullable=False, info=plain(exported=True)),
    Column("day", Date, nullable=False, info=plain(exported=True)),
    Column("subject_token", LargeBinary, info=plain()),
    Column("index", BigInteger, nullable=False, info=plain(exported=True)),
    Column("called_at", DateTime(timezone=True), nullable=False, info=personal("user.behavior")),
    Column("status", Integer, nullable=False, info=plain(exported=True)),
    PrimaryKeyConstraint("call_id", "day"),
    Index("calls_subject_token", "subject_token", "called_at", "call_id"),
    Index("calls_called_at", "called_at", "call_id"),
    postgresql_partition_by="RANGE (day)",
    info=declared(
        subjects=[anchor("account", key="subject_token", tokens=["subject_token"])],
        purpose="security and troubleshooting",
        legal_basis="legitimate_interest",
        retention=days(CALL_DAYS, column="day", partitioned=True, own=True),
        on_erase=delete(),
        reveals=[
            Revealed("account_id", "user.unique_id"),
            Revealed("key_id", "user.authorizing"),
            Revealed("method", "user.behavior"),
            Revealed("protocol", "user.behavior"),
            Revealed("reason", "user.behavior"),
            Revealed("called_time", "user.behavior", "date-time"),
            Revealed("latency_us", "user.telemetry", "integer"),
            Revealed("ip_address", "user.device.ip_address"),
            Revealed("user_agent", "user.device"),
            Revealed("signed", "user.behavior", "boolean"),
        ],
    ),
)

tiles = Table(
    "tiles",
    metadata,
    Column("log", Text, nullable=False, info=plain()),
    Column("level", SmallInteger, nullable=False, info=plain()),
    Column("place", BigInteger, nullable=False, info=plain()),
    Column("hashes", LargeBinary, nullable=False, info=plain()),
    PrimaryKeyConstraint("log", "level", "place"),
    info=impersonal(
        "hashes of 256 subtrees each, from level 1 on; at level 0 the cut leaves that share a tile with living ones"
    ),
)

TABLES = tuple(metadata.sorted_tables)
RECORDS_DATA = impersonal_store("audit records on their way to the evidence log", days(RECORD_DAYS))
DECLARATIONS = Declarations([*TABLES, *KIT_TABLES], {"RECORDS": RECORDS_DATA})
