"""What the gateway stores, and what each column means for the persons behind it."""

from igstats_kit.declare import (
    anchor,
    days,
    declared,
    delete,
    lifetime,
    personal,
    plain,
    retain,
    through,
)
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData()

_ACCOUNT = through("accounts", "account_id")
_INVOICE_DAYS = 3650


def _account_id(*, primary_key: bool = False, index: bool = False) -> Column[str]:
    parent = ForeignKey("accounts.account_id")
    return Column("account_id", Text, parent, nullable=False, primary_key=primary_key, index=index, info=plain())


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, info=plain(exported=True))


accounts = Table(
    "accounts",
    metadata,
    Column("account_id", Text, primary_key=True, info=personal("user.unique_id")),
    Column("subject_token", LargeBinary, nullable=False, unique=True, info=plain()),
    Column("company", Text, nullable=False, info=personal("user.workplace", provenance="provided", correctable=True)),
    Column("contacts_made", Integer, nullable=False, info=plain()),
    _time("created_at"),
    info=declared(
        subjects=[anchor("account", key="account_id", tokens=["subject_token"])],
        purpose="provide API services",
        legal_basis="contract",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

contacts = Table(
    "contacts",
    metadata,
    Column("contact_id", Text, primary_key=True, info=personal("user.unique_id")),
    _account_id(index=True),
    Column("id_token", LargeBinary, nullable=False, unique=True, info=plain()),
    Column("email_token", LargeBinary, nullable=False, index=True, info=plain()),
    Column("hash_token", LargeBinary, index=True, info=plain()),
    Column(
        "email",
        Text,
        nullable=False,
        index=True,
        info=personal("user.contact.email", needle=True, provenance="provided"),
    ),
    Column("name", Text, nullable=False, info=personal("user.name", provenance="provided", correctable=True)),
    _time("created_at"),
    info=declared(
        subjects=[anchor("contact", key="contact_id", tokens=["id_token", "email_token", "hash_token"]), _ACCOUNT],
        purpose="send notifications",
        legal_basis="contract",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

billing_details = Table(
    "billing_details",
    metadata,
    _account_id(primary_key=True),
    Column("name", Text, nullable=False, info=personal("user.name", provenance="provided", correctable=True)),
    Column(
        "address", Text, nullable=False, info=personal("user.contact.address", provenance="provided", correctable=True)
    ),
    Column(
        "vat_number", Text, nullable=False, info=personal("user.government_id", provenance="provided", correctable=True)
    ),
    info=declared(
        subjects=[_ACCOUNT],
        purpose="charge for API services",
        legal_basis="contract",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

# No foreign key: invoices outlive their account.
invoices = Table(
    "invoices",
    metadata,
    Column("invoice_id", Text, primary_key=True, info=plain(exported=True)),
    Column("account_id", Text, nullable=False, index=True, info=plain()),
    Column("name", Text, nullable=False, info=personal("user.name", provenance="provided")),
    Column("address", Text, nullable=False, info=personal("user.contact.address", provenance="provided")),
    Column("vat_number", Text, nullable=False, info=personal("user.government_id", provenance="provided")),
    Column("amount_cents", BigInteger, nullable=False, info=personal("user.financial")),
    Column("currency", Text, nullable=False, info=plain(exported=True)),
    _time("issued_at"),
    info=declared(
        subjects=[_ACCOUNT],
        purpose="charge for API services",
        legal_basis="legal_obligation",
        retention=days(_INVOICE_DAYS, column="issued_at"),
        on_erase=retain("tax law: invoices", days=_INVOICE_DAYS, column="issued_at"),
    ),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True, info=plain(exported=True)),
    _account_id(index=True),
    Column("key_hash", LargeBinary, nullable=False, info=personal("user.authorizing", exported=False)),
    Column("label", Text, nullable=False, info=personal("user.authorizing", provenance="provided")),
    Column("scopes", ARRAY(Text), nullable=False, info=plain(exported=True)),
    _time("created_at"),
    _time("expire_at", nullable=True),
    _time("revoked_at", nullable=True),
    Column("last_used_day", Date, info=personal("user.behavior")),
    Column("used_scopes", ARRAY(Text), nullable=False, server_default="{}", info=personal("user.behavior")),
    info=declared(
        subjects=[_ACCOUNT],
        purpose="provide API services",
        legal_basis="contract",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

usage_days = Table(
    "usage_days",
    metadata,
    _account_id(),
    Column("day", Date, nullable=False, index=True, info=plain(exported=True)),
    Column("method", Text, nullable=False, info=personal("user.behavior")),
    Column("calls", BigInteger, nullable=False, info=personal("user.behavior")),
    Column("errors", BigInteger, nullable=False, info=personal("user.behavior")),
    PrimaryKeyConstraint("account_id", "day", "method"),
    info=declared(
        subjects=[_ACCOUNT],
        purpose="monitor performance",
        legal_basis="legitimate_interest",
        retention=days(365, column="day"),
        on_erase=delete(),
    ),
)

idempotency_records = Table(
    "idempotency_records",
    metadata,
    _account_id(),
    Column("method", Text, nullable=False, info=plain()),
    Column("key_digest", LargeBinary, nullable=False, info=plain()),
    Column("request_digest", LargeBinary, nullable=False, info=plain()),
    Column("status", Integer, info=plain()),
    Column("sealed_body", LargeBinary, info=personal("user", exported=False)),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True, info=plain()),
    PrimaryKeyConstraint("account_id", "method", "key_digest"),
    info=declared(
        subjects=[_ACCOUNT],
        purpose="provide API services",
        legal_basis="contract",
        retention=days(1),
        on_erase=delete(),
    ),
)

limits = Table(
    "limits",
    metadata,
    _account_id(),
    Column("policy", Text, nullable=False, info=plain()),
    Column("full_at", DateTime(timezone=True), nullable=False, info=personal("user.behavior")),
    PrimaryKeyConstraint("account_id", "policy"),
    info=declared(
        subjects=[_ACCOUNT],
        purpose="prevent abuse",
        legal_basis="legitimate_interest",
        retention=lifetime(),
        on_erase=delete(),
    ),
)
