"""Tables that every service has: outbox, inbox, fences and receipts. Declared like all others."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)

from igstats_kit.declare import days, impersonal, plain

KIT_METADATA = MetaData()
NEEDLE_DAYS = 120  # longest life of a needle, whatever happens: the longest clock (90 days), and time to repair
_NOW = func.now()


def _when(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=_NOW, info=plain())


outbox = Table(
    "outbox",
    KIT_METADATA,
    Column("position", BigInteger, Identity(always=True), primary_key=True, info=plain()),
    Column("event_id", Text, nullable=False, unique=True, info=plain()),
    Column("subject", Text, nullable=False, info=plain()),
    Column("type", Text, nullable=False, info=plain()),
    Column("data", LargeBinary, nullable=False, info=plain()),
    _when("created_at"),
    Column("sequence", BigInteger, nullable=False, server_default="0", info=plain()),
    info=impersonal("events that wait for NATS; payloads hold no personal value"),
)

producer_sequences = Table(
    "producer_sequences",
    KIT_METADATA,
    Column("log", Text, primary_key=True, info=plain()),
    Column("last", BigInteger, nullable=False, info=plain()),
    info=impersonal("how many entries this service has sent to each log, so that a missing one shows"),
)

inbox = Table(
    "inbox",
    KIT_METADATA,
    Column("consumer", Text, nullable=False, info=plain()),
    Column("event_id", Text, nullable=False, info=plain()),
    _when("created_at"),
    PrimaryKeyConstraint("consumer", "event_id"),
    Index("inbox_created_at", "created_at"),
    info=impersonal("events already handled", retention=days(40)),
)

parked = Table(
    "parked",
    KIT_METADATA,
    Column("consumer", Text, nullable=False, info=plain()),
    Column("event_id", Text, nullable=False, info=plain()),
    Column("subject", Text, nullable=False, info=plain()),
    Column("type", Text, nullable=False, info=plain()),
    Column("data", LargeBinary, nullable=False, info=plain()),
    Column("error", Text, nullable=False, info=plain()),
    Column("attempts", Integer, nullable=False, info=plain()),
    _when("created_at"),
    Column("time", DateTime(timezone=True), info=plain()),
    Column("sequence", BigInteger, nullable=False, server_default="0", info=plain()),
    Column("repeatable", Boolean, nullable=False, server_default="true", info=plain()),
    Column("asked_at", DateTime(timezone=True), info=plain()),
    PrimaryKeyConstraint("consumer", "event_id"),
    info=impersonal("events that could not be handled and wait for a person"),
)

tombstones = Table(
    "tombstones",
    KIT_METADATA,
    Column("token", LargeBinary, primary_key=True, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    _when("created_at"),
    info=impersonal("keyed tokens of erased persons, so that their data is refused (CCPA 7022(e), GDPR 17(3)(b))"),
)

restrictions = Table(
    "restrictions",
    KIT_METADATA,
    Column("token", LargeBinary, primary_key=True, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    _when("created_at"),
    info=impersonal("keyed tokens of persons who restricted processing (GDPR 18)"),
)

objections = Table(
    "objections",
    KIT_METADATA,
    Column("token", LargeBinary, nullable=False, info=plain()),
    Column("right", Text, nullable=False, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    _when("since"),
    PrimaryKeyConstraint("token", "right"),
    info=impersonal("keyed tokens of persons who objected (GDPR 21) or opted out of sale and sharing (CCPA 1798.120)"),
)

# The tokens are those of the row that a pin belongs to, so erasure finds pins by their row (see `plan.erase`).
pins = Table(
    "pins",
    KIT_METADATA,
    Column("token", LargeBinary, nullable=False, info=plain()),
    Column("field", Text, nullable=False, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    Column("digest", LargeBinary, nullable=False, info=plain()),
    _when("created_at"),
    PrimaryKeyConstraint("token", "field"),
    info=impersonal("sealed corrections that outlive the next sync (GDPR 16); they go with the row or once it agrees"),
)

subject_keys = Table(
    "subject_keys",
    KIT_METADATA,
    Column("request_id", Text, nullable=False, info=plain()),
    Column("store", Text, nullable=False, info=plain()),
    Column("key", Text, nullable=False, info=plain()),
    PrimaryKeyConstraint("request_id", "store", "key"),
    info=impersonal("internal keys that a running request has found; removed when it is attested"),
)

needles = Table(
    "needles",
    KIT_METADATA,
    Column("request_id", Text, primary_key=True, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=plain()),
    _when("created_at"),
    Column("erased_at", DateTime(timezone=True), info=plain()),
    Column("next_at", DateTime(timezone=True), info=plain()),
    Index("needles_created_at", "created_at"),
    Index("needles_next_at", "next_at"),
    info=impersonal(
        "sealed values that sweeps search for; destroyed when the last deep sweep has found nothing",
        retention=days(NEEDLE_DAYS),
    ),
)

replayed_erasures = Table(
    "replayed_erasures",
    KIT_METADATA,
    Column("request_id", Text, nullable=False, info=plain()),
    Column("store", Text, nullable=False, info=plain()),
    Column("erased", BigInteger, nullable=False, info=plain()),
    _when("created_at"),
    PrimaryKeyConstraint("request_id", "store"),
    info=impersonal("rows that the ledger replay erased, for the receipt of the request", retention=days(730)),
)

task_receipts = Table(
    "task_receipts",
    KIT_METADATA,
    Column("task_id", Text, primary_key=True, info=plain()),
    Column("request_id", Text, nullable=False, index=True, info=plain()),
    Column("phase", Integer, nullable=False, info=plain()),
    Column("receipt", LargeBinary, nullable=False, info=plain()),
    Column("signature", LargeBinary, nullable=False, info=plain()),
    Column("key_id", Text, nullable=False, info=plain()),
    _when("created_at"),
    Column("sequence", BigInteger, nullable=False, server_default="0", info=plain()),
    info=impersonal("what this holder stated about each task: ids, counts, digests", retention=days(730)),
)

holder_state = Table(
    "holder_state",
    KIT_METADATA,
    Column("holder", Text, primary_key=True, info=plain()),
    Column("erasure_sequence", BigInteger, nullable=False, info=plain()),
    info=impersonal("how far this database has applied the erasure ledger"),
)

retention_runs = Table(
    "retention_runs",
    KIT_METADATA,
    Column("run_id", Text, nullable=False, info=plain()),
    Column("store", Text, nullable=False, info=plain()),
    Column("removed", BigInteger, nullable=False, info=plain()),
    Column("skipped", BigInteger, nullable=False, info=plain()),
    _when("created_at"),
    PrimaryKeyConstraint("run_id", "store"),
    info=impersonal("what each retention run removed and skipped", retention=days(400)),
)

KIT_TABLES = tuple(KIT_METADATA.sorted_tables)
