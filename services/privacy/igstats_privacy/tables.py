"""What privacy stores: requests, proofs, and packages on their way to a person. It keeps no copy of anyone's data."""

from typing import Any

from igstats_kit.declare import (
    Retention,
    anchor,
    days,
    declared,
    delete,
    expire,
    impersonal,
    personal,
    plain,
    through,
)
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData()

# CCPA 7101 asks for 24 months of records about requests.
LEDGER_DAYS = 730
_MAILING_DAYS = 2
_EXPORT_DAYS = 14
_NOTICE_DAYS = 90


def _time(name: str, *, nullable: bool = False, exported: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable, info=plain(exported=exported))


def _text(name: str, *, exported: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, Text, nullable=False, server_default=default, info=plain(exported=exported))


def of_requester(column: str, retention: Retention, *, erased: bool = False) -> dict[str, Any]:
    """Rows about the person behind a request. The ledger stays until it expires; copies of data go with the person."""
    return declared(
        subjects=[through("request_tokens", column)],
        purpose="answer requests about personal data and prove the answer",
        legal_basis="legal_obligation",
        retention=retention,
        on_erase=delete() if erased else expire(),
    )


requests = Table(
    "requests",
    metadata,
    Column("request_id", Text, primary_key=True, info=plain(exported=True)),
    Column("reference", Text, nullable=False, unique=True, info=plain(exported=True)),
    _text("right", exported=True),
    _text("state", exported=True),
    Column("account_token", LargeBinary, nullable=False, info=plain()),
    _text("door", exported=True),
    Column("identity_proof", Text, nullable=False, info=personal("user.authorization")),
    _time("received_at", exported=True),
    _time("due_at", exported=True),
    _time("closed_at", nullable=True, exported=True),
    _time("effective_at", nullable=True, exported=True),
    Column("blocked", Boolean, nullable=False, info=plain()),
    _text("reason", exported=True),
    _time("overdue_at", nullable=True),
    _text("regime", exported=True, default="GDPR"),
    _text("subject_class", exported=True, default="UNSPECIFIED"),
    _text("parent_id", exported=True, default=""),
    _text("duplicate_of", exported=True, default=""),
    _text("wait", exported=True, default="UNSPECIFIED"),
    _time("wait_until", nullable=True, exported=True),
    _time("confirm_due_at", nullable=True, exported=True),
    _time("extended_at", nullable=True, exported=True),
    _time("confirmed_at", nullable=True, exported=True),
    Column("ledger_token", LargeBinary, nullable=False, server_default=text("''::bytea"), info=plain()),
    _time("approved_at", nullable=True, exported=True),
    Column("automatic", Boolean, nullable=False, server_default=text("false"), info=plain(exported=True)),
    Index("requests_account_token", "account_token", "request_id"),
    Index("requests_waiting", "request_id", postgresql_where=text("state IN ('RECEIVED', 'TRIAGE')")),
    Index("requests_open", "request_id", postgresql_where=text("closed_at IS NULL")),
    Index("requests_parent_id", "parent_id", postgresql_where=text("parent_id <> ''")),
    Index("requests_settling", "effective_at", postgresql_where=text("state = 'SETTLING'")),
    info=of_requester("request_id", days(LEDGER_DAYS, column="received_at")),
)

request_identifiers = Table(
    "request_identifiers",
    metadata,
    Column("request_id", Text, primary_key=True, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=personal("user.unique_id", exported=False)),
    _time("created_at"),
    info=of_requester("request_id", days(LEDGER_DAYS)),
)

correspondents = Table(
    "correspondents",
    metadata,
    Column("request_id", Text, primary_key=True, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=personal("user.contact.email", exported=False)),
    Column("written", ARRAY(Text), nullable=False, info=plain()),
    # Letters that were too many for an address that nobody has proved, and when they are tried again.
    Column("withheld", ARRAY(Text), nullable=False, server_default=text("'{}'"), info=plain()),
    _time("again_at", nullable=True),
    Column("seen", Text, nullable=False, info=plain()),
    _time("created_at"),
    # When the address is needed until at the latest: where a hold keeps data back, its end.
    Column("needed_until", DateTime(timezone=True), nullable=False, server_default=text("now()"), info=plain()),
    info=of_requester("request_id", days(LEDGER_DAYS, column="needed_until")),
)

mailings = Table(
    "mailings",
    metadata,
    Column("channel", LargeBinary, nullable=False, info=plain()),
    _time("day"),
    Column("count", Integer, nullable=False, info=plain()),
    PrimaryKeyConstraint("channel", "day"),
    info=declared(
        subjects=[anchor("requester", key="channel", tokens=["channel"])],
        purpose="keep strangers from flooding a mailbox with letters",
        legal_basis="legitimate_interest",
        retention=days(_MAILING_DAYS, column="day"),
        on_erase=expire(),
    ),
)

request_tokens = Table(
    "request_tokens",
    metadata,
    Column("token", LargeBinary, nullable=False, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    _time("created_at"),
    PrimaryKeyConstraint("token", "request_id"),
    Index("request_tokens_request_id", "request_id"),
    info=declared(
        subjects=[anchor("requester", key="request_id", tokens=["token"])],
        purpose="find a person's requests without keeping the person's names",
        legal_basis="legal_obligation",
        retention=days(LEDGER_DAYS),
        on_erase=expire(),
    ),
)

recipients = Table(
    "recipients",
    metadata,
    _text("request_id"),
    Column("account_token", LargeBinary, nullable=False, info=plain()),
    Column("notice_id", Text, nullable=False, unique=True, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=personal("user.unique_id", exported=False)),
    Column("fields", ARRAY(Text), nullable=False, server_default="{}", info=plain()),
    _time("created_at"),
    PrimaryKeyConstraint("request_id", "account_token"),
    Index("recipients_account_token", "account_token", "notice_id"),
    info=declared(
        subjects=[through("request_tokens", "request_id")],
        purpose="tell those who got a person's data of corrections, erasures and restrictions (GDPR 19)",
        legal_basis="legal_obligation",
        retention=days(_NOTICE_DAYS),
        on_erase=expire(),
    ),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_digest", LargeBinary, primary_key=True, info=plain()),
    Column("content_digest", LargeBinary, nullable=False, info=plain()),
    Column("request_id", Text, nullable=False, index=True, info=plain()),
    _time("created_at"),
    # As long as the request: what a partner, Meta or a signal repeats must find it, however late.
    info=of_requester("request_id", days(LEDGER_DAYS)),
)

tasks = Table(
    "tasks",
    metadata,
    _text("request_id"),
    _text("holder"),
    _text("phase"),
    Column("step", SmallInteger, nullable=False, info=plain()),
    _text("state"),
    Column("outcome", Text, info=plain()),
    Column("cause", Text, info=plain()),
    Column("attempts", Integer, nullable=False, server_default="0", info=plain()),
    Column("offers", Integer, nullable=False, server_default="0", info=plain()),
    _time("created_at"),
    _time("first_offered_at", nullable=True),
    _time("offered_at", nullable=True),
    _time("offer_again_at", nullable=True),
    _time("settled_at", nullable=True),
    _time("effective_at", nullable=True),
    Column("receipt_digest", LargeBinary, info=plain()),
    PrimaryKeyConstraint("request_id", "holder", "phase"),
    info=impersonal("who must do what for a request", retention=days(LEDGER_DAYS)),
)

receipts = Table(
    "receipts",
    metadata,
    _text("request_id"),
    _text("holder"),
    _text("phase"),
    Column("digest", LargeBinary, nullable=False, info=plain()),
    Column("receipt", LargeBinary, nullable=False, info=plain()),
    Column("signature", LargeBinary, nullable=False, info=plain()),
    _text("key_id"),
    _time("received_at"),
    PrimaryKeyConstraint("request_id", "holder", "phase", "digest"),
    info=impersonal("what holders signed: ids, counts, digests", retention=days(LEDGER_DAYS, column="received_at")),
)

holders = Table(
    "holders",
    metadata,
    Column("holder", Text, primary_key=True, info=plain()),
    Column("description", LargeBinary, nullable=False, info=plain()),
    Column("description_digest", LargeBinary, nullable=False, info=plain()),
    Column("store_count", Integer, nullable=False, info=plain()),
    Column("public_key", LargeBinary, nullable=False, info=plain()),
    Column("enabled", Boolean, nullable=False, info=plain()),
    _time("registered_at"),
    _time("seen_at"),
    _time("leased_through", nullable=True),
    info=impersonal("who holds data, as each holder says itself"),
)

holder_keys = Table(
    "holder_keys",
    metadata,
    _text("holder"),
    _text("key_id"),
    Column("public_key", LargeBinary, nullable=False, info=plain()),
    _time("created_at"),
    PrimaryKeyConstraint("holder", "key_id"),
    info=impersonal("every key that a holder has ever signed with"),
)

erasure_ledger = Table(
    "erasure_ledger",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False, info=plain()),
    Column("request_id", Text, nullable=False, unique=True, info=plain()),
    Column("tokens", ARRAY(LargeBinary), nullable=False, info=plain()),
    _time("accepted_at"),
    info=of_requester("request_id", days(LEDGER_DAYS, column="accepted_at")),
)

holds = Table(
    "holds",
    metadata,
    Column("hold_id", Text, primary_key=True, info=plain(exported=True)),
    Column("holders", ARRAY(Text), nullable=False, info=plain(exported=True)),
    Column("stores", ARRAY(Text), nullable=False, info=plain(exported=True)),
    _text("ground", exported=True),
    _text("reason"),
    _time("until_at", exported=True),
    _time("review_at"),
    _time("placed_at", exported=True),
    Column("placed_by", Text, nullable=False, info=personal("user.unique_id", exported=False)),
    _time("released_at", nullable=True, exported=True),
    Column("kept_back", ARRAY(Text), nullable=False, server_default="{}", info=plain()),
    Column("resumed", ARRAY(Text), nullable=False, server_default="{}", info=plain()),
    Index("holds_in_force", "until_at", postgresql_where=text("released_at IS NULL")),
    info=declared(
        subjects=[through("hold_tokens", "hold_id")],
        purpose="keep data from erasure where the law asks for it, and let it go when the law does",
        legal_basis="legal_obligation",
        retention=days(LEDGER_DAYS, column="until_at"),
        on_erase=expire(),
    ),
)

hold_tokens = Table(
    "hold_tokens",
    metadata,
    Column("token", LargeBinary, nullable=False, info=plain()),
    Column("hold_id", Text, nullable=False, info=plain()),
    _time("until_at"),
    PrimaryKeyConstraint("token", "hold_id"),
    Index("hold_tokens_hold_id", "hold_id"),
    info=declared(
        subjects=[anchor("requester", key="hold_id", tokens=["token"])],
        purpose="find the holds on a person's data without keeping the person's names",
        legal_basis="legal_obligation",
        retention=days(LEDGER_DAYS, column="until_at"),
        on_erase=expire(),
    ),
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("ledger", Text, primary_key=True, info=plain()),
    Column("sequence", BigInteger, nullable=False, info=plain()),
    info=impersonal("the last number of the erasure ledger, which never goes back"),
)

exports = Table(
    "exports",
    metadata,
    Column("request_id", Text, primary_key=True, info=plain()),
    Column("sealed_key", LargeBinary, nullable=False, info=plain()),
    _time("created_at"),
    _time("expires_at"),
    Index("exports_expires_at", "expires_at"),
    info=of_requester("request_id", days(_EXPORT_DAYS), erased=True),
)

# Never the link itself: whoever reads the table, or a backup of it, cannot fetch anything.
package_links = Table(
    "package_links",
    metadata,
    Column("digest", LargeBinary, primary_key=True, info=plain()),
    _text("request_id"),
    _time("created_at"),
    Index("package_links_request_id", "request_id"),
    info=of_requester("request_id", days(_EXPORT_DAYS), erased=True),
)

descriptions = Table(
    "descriptions",
    metadata,
    Column("digest", LargeBinary, primary_key=True, info=plain()),
    Column("description", LargeBinary, nullable=False, info=plain()),
    _time("created_at"),
    info=impersonal("what holders said about themselves when they sent shares of packages"),
)

export_shares = Table(
    "export_shares",
    metadata,
    _text("request_id"),
    _text("holder"),
    Column("digest", LargeBinary, nullable=False, info=plain()),
    Column("row_count", BigInteger, nullable=False, info=plain()),
    Column("description", LargeBinary, info=plain()),  # as releases before 2026-12 wrote it
    Column("description_digest", LargeBinary, info=plain()),
    _time("created_at"),
    PrimaryKeyConstraint("request_id", "holder"),
    info=of_requester("request_id", days(_EXPORT_DAYS), erased=True),
)

export_parts = Table(
    "export_parts",
    metadata,
    _text("request_id"),
    _text("holder"),
    Column("number", Integer, nullable=False, info=plain()),
    _text("store"),
    Column("row_count", Integer, nullable=False, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=personal("user", exported=False)),
    _time("created_at"),
    PrimaryKeyConstraint("request_id", "holder", "number"),
    info=of_requester("request_id", days(_EXPORT_DAYS), erased=True),
)
