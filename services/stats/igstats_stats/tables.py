"""What stats stores, and what each column means for the person behind a profile.

Every key starts with `profile_id`. Daily values and insights are wide: a column for the value of each metric of the
catalogue, and one beside it that says why there is none. Both empty means: never asked.
"""

from collections.abc import Iterable
from typing import Any

from igstats_kit.declare import Declarations, anchor, days, declared, delete, lifetime, personal, plain, through
from igstats_kit.tables import KIT_TABLES
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from igstats_stats.events import STREAMS
from igstats_stats.metrics import MEDIA, SERIES, TOTALS

metadata = MetaData()

MISSING = "_missing"
DAY_METRICS = (*SERIES, *TOTALS)
MEDIA_METRICS = tuple(MEDIA)
_PURPOSE = "provide API services"
_CAPABILITY_DAYS = 30


def _of_profile(retention: Any = None) -> dict[str, Any]:  # noqa: ANN401 - igstats_kit.declare.Retention
    """Rows that belong to a profile and go with it."""
    return declared(
        subjects=[through("profiles", "profile_id")],
        purpose=_PURPOSE,
        legal_basis="contract",
        retention=retention or lifetime(),
        on_erase=delete(),
    )


def _profile_id() -> Column[int]:
    parent = ForeignKey("profiles.profile_id")
    return Column("profile_id", BigInteger, parent, nullable=False, info=plain(exported=True))


def _time(name: str, *, nullable: bool = False, exported: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable, info=plain(exported=exported))


def _number(name: str, category: str) -> Column[int]:
    return Column(name, BigInteger, info=personal(category))


def _reason(name: str) -> Column[int]:
    return Column(name + MISSING, SmallInteger, info=plain(exported=True))


def _revision() -> Column[int]:
    return Column("revision", Integer, nullable=False, info=plain(exported=True))


def _wide(metrics: Iterable[str]) -> list[Column[int]]:
    """Two columns a metric: the value, and why it is missing."""
    return [column for name in metrics for column in (_number(name, "user.behavior"), _reason(name))]


profiles = Table(
    "profiles",
    metadata,
    Column("profile_id", BigInteger, Identity(always=True), primary_key=True, info=plain(exported=True)),
    Column("user_token", LargeBinary, nullable=False, unique=True, info=plain()),
    Column("username_token", LargeBinary, index=True, info=plain()),
    Column("app_user_token", LargeBinary, index=True, info=plain()),
    Column("instagram_user_id", Text, nullable=False, unique=True, info=personal("user.unique_id", needle=True)),
    Column("username", Text, index=True, info=personal("user.account.username", needle=True)),
    Column("app_user_id", Text, index=True, info=personal("user.unique_id", needle=True)),
    Column("name", Text, nullable=False, info=personal("user.name", correctable=True)),
    Column("biography", Text, nullable=False, info=personal("user.content.public", correctable=True)),
    Column("website", Text, nullable=False, info=personal("user.contact.url", correctable=True)),
    _number("followers", "user.social"),
    _number("follows", "user.social"),
    _number("media", "user.social"),
    _revision(),
    _time("observed_at", exported=True),
    _time("media_walked_at", nullable=True),
    _time("audience_due_at", nullable=True),
    _time("departed_at", nullable=True, exported=True),
    info=declared(
        subjects=[anchor("profile", key="profile_id", tokens=["user_token", "username_token", "app_user_token"])],
        purpose=_PURPOSE,
        legal_basis="contract",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

connections = Table(
    "connections",
    metadata,
    Column("connection_id", Text, primary_key=True, info=plain(exported=True)),
    Column("account_id", Text, nullable=False, info=plain(exported=True)),
    Column("account_token", LargeBinary, nullable=False, index=True, info=plain()),
    _profile_id(),
    Column("sealed_token", LargeBinary, info=personal("user.authorization.credentials", exported=False)),
    Column("state", Text, nullable=False, info=plain(exported=True)),
    Column("problem", Text, nullable=False, info=plain(exported=True)),
    _time("created_at", exported=True),
    _time("synced_at", nullable=True, exported=True),
    _time("blocked_until", nullable=True),
    _time("due_at", nullable=True),
    Column("lease_id", Text, info=plain()),
    _time("leased_until", nullable=True),
    UniqueConstraint("account_id", "profile_id"),
    Index("connections_account_id_connection_id", "account_id", "connection_id"),
    Index("connections_profile_id", "profile_id"),
    Index("connections_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    info=declared(
        subjects=[through("profiles", "profile_id"), anchor("account", key="connection_id", tokens=["account_token"])],
        purpose=_PURPOSE,
        legal_basis="contract",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

profile_samples = Table(
    "profile_samples",
    metadata,
    _profile_id(),
    _time("observed_at", exported=True),
    Column("day", Date, nullable=False, info=plain(exported=True)),
    _number("followers_count", "user.social"),
    _number("follows_count", "user.social"),
    _number("media_count", "user.social"),
    PrimaryKeyConstraint("profile_id", "day", "observed_at"),
    info=_of_profile(),
)

profile_days = Table(
    "profile_days",
    metadata,
    _profile_id(),
    Column("day", Date, nullable=False, info=plain(exported=True)),
    *_wide(DAY_METRICS),
    _revision(),
    Column("settled", Boolean, nullable=False, info=plain(exported=True)),
    _time("observed_at", exported=True),
    PrimaryKeyConstraint("profile_id", "day"),
    info=_of_profile(),
)

media = Table(
    "media",
    metadata,
    _profile_id(),
    Column("media_id", Text, nullable=False, info=personal("user.content.public")),
    Column("media_type", Text, nullable=False, info=plain(exported=True)),
    Column("product_type", Text, nullable=False, info=plain(exported=True)),
    Column("caption", Text, nullable=False, info=personal("user.content.public")),
    Column("permalink", Text, nullable=False, info=personal("user.content.public")),
    _time("posted_at", exported=True),
    _number("likes", "user.behavior"),
    _reason("likes"),
    _number("comments", "user.behavior"),
    _reason("comments"),
    _revision(),
    _time("observed_at", exported=True),
    _time("insights_due_at", nullable=True),
    PrimaryKeyConstraint("profile_id", "media_id"),
    Index("media_profile_id_posted_at", "profile_id", "posted_at", "media_id"),
    Index("media_insights_due", "profile_id", "insights_due_at", postgresql_where=text("insights_due_at IS NOT NULL")),
    info=_of_profile(),
)

media_insights = Table(
    "media_insights",
    metadata,
    _profile_id(),
    Column("media_id", Text, nullable=False, info=personal("user.content.public")),
    *_wide(MEDIA_METRICS),
    _revision(),
    _time("observed_at", exported=True),
    PrimaryKeyConstraint("profile_id", "media_id"),
    info=_of_profile(),
)

audience_slices = Table(
    "audience_slices",
    metadata,
    _profile_id(),
    Column("metric", Text, nullable=False, info=plain(exported=True)),
    Column("dimension", Text, nullable=False, info=plain(exported=True)),
    Column("observed_day", Date, nullable=False, info=plain(exported=True)),
    Column("slices", JSONB, nullable=False, info=personal("user.demographic", provenance="aggregate")),
    Column("missing", SmallInteger, info=plain(exported=True)),
    _revision(),
    _time("observed_at", exported=True),
    PrimaryKeyConstraint("profile_id", "metric", "dimension", "observed_day"),
    info=_of_profile(),
)

# Metrics that Instagram refused for a product type of a profile; asked again once the mark has expired.
capabilities = Table(
    "capabilities",
    metadata,
    _profile_id(),
    Column("product_type", Text, nullable=False, info=plain()),
    Column("metric", Text, nullable=False, info=plain()),
    _time("marked_at"),
    PrimaryKeyConstraint("profile_id", "product_type", "metric"),
    info=_of_profile(days(_CAPABILITY_DAYS, column="marked_at")),
)

TABLES = tuple(metadata.sorted_tables)
DECLARATIONS = Declarations([*TABLES, *KIT_TABLES], {stream.name: stream.data for stream in STREAMS})
