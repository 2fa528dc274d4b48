"""What stats talks about: connections, profiles, media, days and audiences. Missing is never zero."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum

from igstats_stats.metrics import Kind


class Missing(IntEnum):
    """Why a value is absent; the numbers of igstats.api.v1.MissingReason."""

    NOT_REQUESTED = 1
    NOT_SUPPORTED = 2
    BELOW_THRESHOLD = 3
    EMPTY = 4
    PERMISSION = 5
    HIDDEN_BY_OWNER = 6
    POSTED_BEFORE_CONVERSION = 7


@dataclass(frozen=True)
class Count:
    """A whole number, or why there is none: exactly one of the two is set."""

    value: int | None = None
    missing: Missing | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.missing is None):
            raise ValueError("a count has either a value or a reason")


def count_or(value: int | None, reason: Missing) -> Count:
    """The value as a count; the reason when there is none."""
    return Count(missing=reason) if value is None else Count(value)


NOT_REQUESTED = Count(missing=Missing.NOT_REQUESTED)


class ConnectionState(StrEnum):
    """State of a connection."""

    ACTIVE = "ACTIVE"
    TOKEN_DEAD = "TOKEN_DEAD"  # noqa: S105 - the name of a state
    THROTTLED = "THROTTLED"


@dataclass(frozen=True)
class Connection:
    """A profile that an account has connected. The token is not part of it."""

    connection_id: str
    account_id: str
    profile_id: int
    instagram_user_id: str
    state: ConnectionState
    created_at: datetime
    synced_at: datetime | None = None
    blocked_until: datetime | None = None
    problem: str = ""
    restricted: bool = False


@dataclass(frozen=True)
class Lease:
    """The right to synchronise one connection until `until`, and what is needed for it."""

    lease_id: str
    connection_id: str
    profile_id: int
    instagram_user_id: str
    access_token: str = field(repr=False)
    tokens: tuple[bytes, ...]
    media_walked_at: datetime | None
    audience_due_at: datetime | None


@dataclass(frozen=True)
class Profile:
    """A profile as last seen."""

    profile_id: int
    instagram_user_id: str
    username: str
    name: str
    biography: str
    website: str
    followers: Count
    follows: Count
    media: Count
    observed_at: datetime


@dataclass(frozen=True)
class ProfileFacts:
    """What Instagram says about a profile. An absent number is a number that Instagram did not send."""

    instagram_user_id: str
    username: str
    app_user_id: str = ""  # "<app id>:<id>": what the profile's owner is called in the app that the token is for
    name: str = ""
    biography: str = ""
    website: str = ""
    followers: int | None = None
    follows: int | None = None
    media: int | None = None


@dataclass(frozen=True)
class MediaFacts:
    """What Instagram says about a media item, apart from its insights."""

    media_id: str
    media_type: str
    product_type: str
    caption: str
    permalink: str
    posted_at: datetime
    likes: Count
    comments: Count


@dataclass(frozen=True)
class Media:
    """A media item with its insights."""

    facts: MediaFacts
    insights: Mapping[str, Count]
    observed_at: datetime


@dataclass(frozen=True)
class DayFacts:
    """Daily values that a call answered; a metric that is not listed was not asked."""

    day: date
    counts: Mapping[str, Count]
    settled: bool


@dataclass(frozen=True)
class StoredDay:
    """Daily values as stored; `settled` says that Instagram corrects them no more."""

    day: date
    counts: Mapping[str, Count]
    revision: int
    settled: bool


@dataclass(frozen=True)
class Owner:
    """Who owns a profile, which accounts have a live connection to it, and which have or had one at all."""

    instagram_user_id: str
    username: str
    app_user_id: str
    accounts: frozenset[str]
    recipients: frozenset[str]


@dataclass(frozen=True)
class InsightFacts:
    """Insights of one media item, and when to ask again (None: never)."""

    media_id: str
    counts: Mapping[str, Count]
    next_due: datetime | None


@dataclass(frozen=True)
class MediaDue:
    """A media item whose insights should be asked."""

    media_id: str
    product_type: str
    posted_at: datetime


@dataclass(frozen=True)
class AudienceFacts:
    """One distribution as answered; `missing` says why it is empty."""

    metric: str
    dimension: str
    slices: Mapping[str, int]
    missing: Missing | None = None


@dataclass(frozen=True)
class AudienceSlice:
    """One value of a dimension and how many accounts it has."""

    metric: str
    dimension: str
    dimension_value: str
    count: int
    observed_day: date


@dataclass(frozen=True)
class Point:
    """One day's value."""

    day: date
    count: Count
    revision: int = 0
    provisional: bool = False


@dataclass(frozen=True)
class Series:
    """Values of one metric, one point a day."""

    metric: str
    kind: Kind
    points: Sequence[Point]


@dataclass(frozen=True)
class Unsupported:
    """Metrics that Instagram refused for a product type of a profile (USER for the profile itself)."""

    product_type: str
    metrics: frozenset[str]
