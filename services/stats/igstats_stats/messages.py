"""From the model to the messages of the API."""

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.api.v1 import connection_service_pb2 as connection_api
from igstats.api.v1 import profile_pb2, stats_service_pb2
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.stats.v1.subject_service_pb2 import Subject

from igstats_stats import model
from igstats_stats.days import ZONE
from igstats_stats.profiles import Resolved

_KIND = "IDENTIFIER_KIND_"


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def count(found: model.Count) -> profile_pb2.Count:
    """A number or the reason why there is none."""
    name = "UNSPECIFIED" if found.missing is None else found.missing.name
    return profile_pb2.Count(
        value=found.value or 0, missing_reason=profile_pb2.MissingReason.Value(f"MISSING_REASON_{name}")
    )


def profile(found: model.Profile) -> profile_pb2.Profile:
    """A profile."""
    return profile_pb2.Profile(
        profile_id=found.profile_id,
        instagram_user_id=found.instagram_user_id,
        username=found.username,
        name=found.name,
        biography=found.biography,
        website=found.website,
        followers=count(found.followers),
        follows=count(found.follows),
        media=count(found.media),
        observed_time=_time(found.observed_at),
    )


def media(found: model.Media) -> profile_pb2.Media:
    """A media item."""
    facts = found.facts
    return profile_pb2.Media(
        media_id=facts.media_id,
        media_type=facts.media_type,
        product_type=facts.product_type,
        caption=facts.caption,
        permalink=facts.permalink,
        posted_time=_time(facts.posted_at),
        likes=count(facts.likes),
        comments=count(facts.comments),
        insights={name: count(value) for name, value in found.insights.items()},
        observed_time=_time(found.observed_at),
    )


def audience_slice(found: model.AudienceSlice) -> profile_pb2.AudienceSlice:
    """A slice of an audience."""
    return profile_pb2.AudienceSlice(
        metric=found.metric,
        dimension=found.dimension,
        dimension_value=found.dimension_value,
        count=found.count,
        observed_day=found.observed_day.isoformat(),
    )


def series(found: model.Series) -> stats_service_pb2.Series:
    """A series."""
    return stats_service_pb2.Series(
        metric=found.metric, metric_kind=found.kind, day_boundary=ZONE, points=map(_point, found.points)
    )


def _point(found: model.Point) -> stats_service_pb2.Point:
    return stats_service_pb2.Point(
        day=found.day.isoformat(),
        count=count(found.count),
        revision=found.revision,
        provisional=found.provisional,
    )


def connection(found: model.Connection) -> connection_api.Connection:
    """A connection; never its token, and not whose it is while the owner has restricted processing."""
    return connection_api.Connection(
        connection_id=found.connection_id,
        profile_id=found.profile_id,
        instagram_user_id="" if found.restricted else found.instagram_user_id,
        state=connection_api.ConnectionState.Value(f"CONNECTION_STATE_{found.state}"),
        created_time=_time(found.created_at),
        synced_time=_time(found.synced_at),
        blocked_until_time=_time(found.blocked_until),
        problem=found.problem,
    )


def pairs(identifiers: Sequence[Identifier]) -> list[tuple[str, str]]:
    """Identifiers as (kind, value)."""
    return [(IdentifierKind.Name(each.kind).removeprefix(_KIND), each.value) for each in identifiers]


def subject(found: Resolved) -> Subject:
    """What is known of one request's person."""
    return Subject(
        identifiers=[identifier(*pair) for pair in found.identifiers],
        connected=found.connected,
        account_ids=sorted(found.recipients),
    )


def identifier(kind: str, value: str) -> Identifier:
    """An identifier."""
    return Identifier(kind=IdentifierKind.Value(_KIND + kind), value=value)
