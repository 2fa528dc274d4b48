"""What answers are made of. An account reads only profiles that it is connected to; erased ones are gone at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from igstats_kit.sql import Database, fetch
from igstats_kit.tokens import Tokens
from sqlalchemy import Row, RowMapping, Select, func, literal, or_, select, text, tuple_, union_all
from sqlalchemy.dialects.postgresql import distinct_on

from igstats_stats.metrics import GAUGES
from igstats_stats.model import (
    NOT_REQUESTED,
    AudienceSlice,
    ConnectionState,
    Count,
    Media,
    MediaFacts,
    Missing,
    Owner,
    Profile,
    StoredDay,
    count_or,
)
from igstats_stats.store.fenced import erased, objected, restricted
from igstats_stats.tables import (
    MEDIA_METRICS,
    MISSING,
    audience_slices,
    connections,
    media,
    media_insights,
    profile_days,
    profile_samples,
    profiles,
)

_LARGEST_ID = 2**63 - 1
# A UNION instead of OR: each arm goes by its own index, however small the planner believes the table to be.
_OWNERS = text(
    "SELECT p.instagram_user_id, p.username, p.app_user_id, ARRAY(SELECT c.account_id FROM connections c"
    " WHERE c.profile_id = p.profile_id AND c.state <> :dead) AS accounts,"
    " ARRAY(SELECT c.account_id FROM connections c WHERE c.profile_id = p.profile_id) AS recipients"
    " FROM profiles p WHERE p.profile_id IN ("
    "SELECT profile_id FROM profiles WHERE user_token = ANY(CAST(:tokens AS bytea[])) UNION"
    " SELECT profile_id FROM profiles WHERE username_token = ANY(CAST(:tokens AS bytea[])) UNION"
    " SELECT profile_id FROM profiles WHERE app_user_token = ANY(CAST(:tokens AS bytea[])))"
)


@dataclass(frozen=True)
class Found:
    """A profile, and what its owner wants: storage only, or no disclosure to third parties."""

    profile: Profile
    restricted: bool
    objected: bool


def _count(row: RowMapping, name: str) -> Count:
    """The two columns of a metric as a count."""
    value, reason = row[name], row[name + MISSING]
    return Count(value) if value is not None else NOT_REQUESTED if reason is None else Count(missing=Missing(reason))


def _profile(row: Row[Any]) -> Profile:
    return Profile(
        profile_id=row.profile_id,
        instagram_user_id=row.instagram_user_id,
        username=row.username or "",
        name=row.name,
        biography=row.biography,
        website=row.website,
        followers=count_or(row.followers, Missing.EMPTY),
        follows=count_or(row.follows, Missing.EMPTY),
        media=count_or(row.media, Missing.EMPTY),
        observed_at=max(row.observed_at, row.synced_at or row.observed_at),
    )


def _media(row: RowMapping) -> Media:
    facts = MediaFacts(
        media_id=row["media_id"],
        media_type=row["media_type"],
        product_type=row["product_type"],
        caption=row["caption"],
        permalink=row["permalink"],
        posted_at=row["posted_at"],
        likes=_count(row, "likes"),
        comments=_count(row, "comments"),
    )
    insights = {name: _count(row, f"i_{name}") for name in MEDIA_METRICS}
    asked = {name: count for name, count in insights.items() if count != NOT_REQUESTED}
    return Media(facts, asked, max(row["observed_at"], row["insights_observed_at"] or row["observed_at"]))


def _readable(account_id: str) -> "Select[Any]":
    """Profiles that the account is connected to, each with the time of its last synchronisation."""
    joined = profiles.join(connections, connections.c.profile_id == profiles.c.profile_id)
    columns = (profiles, connections.c.synced_at, restricted().label("restricted"), objected().label("objected"))
    return select(*columns).select_from(joined).where(connections.c.account_id == account_id, ~erased())


class ReadStore:
    """Reads for answers."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens

    async def profile(self, account_id: str, name: str) -> Found | None:
        """The profile that `name` means: our id before Instagram's id before a username."""
        username = name.removeprefix("@").lower()
        ours = int(name) if name.isascii() and name.isdigit() and int(name) <= _LARGEST_ID else 0
        named = union_all(
            select(profiles.c.profile_id, literal(1).label("rank")).where(profiles.c.profile_id == ours),
            select(profiles.c.profile_id, literal(2)).where(profiles.c.instagram_user_id == name),
            select(profiles.c.profile_id, literal(3)).where(profiles.c.username == username),
        ).subquery("named")
        wanted = _readable(account_id).join(named, named.c.profile_id == profiles.c.profile_id).order_by(named.c.rank)
        async with self._database.read() as connection:
            row = (await connection.execute(wanted.limit(1))).one_or_none()
        return Found(_profile(row), row.restricted, row.objected) if row is not None else None

    async def profiles(self, account_id: str, after: int, limit: int) -> list[Profile]:
        """Profiles by id, after an id; those of owners who restricted or objected are left out."""
        wanted = _readable(account_id).where(profiles.c.profile_id > after, ~restricted(), ~objected())
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.order_by(profiles.c.profile_id).limit(limit))
            return [_profile(row) for row in rows]

    async def withheld(self, account_id: str) -> int:
        """How many connected profiles are in no list, because their owners restricted or objected."""
        kept_back = _readable(account_id).where(or_(restricted(), objected())).subquery()
        async with self._database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(kept_back)) or 0

    async def media(self, profile_id: int, before: tuple[datetime, str] | None, limit: int) -> list[Media]:
        """Media items with their insights, newest first, before a place."""
        same = (media_insights.c.profile_id == media.c.profile_id, media_insights.c.media_id == media.c.media_id)
        insights = [
            media_insights.c[name + ending].label(f"i_{name}{ending}")
            for name in MEDIA_METRICS
            for ending in ("", MISSING)
        ]
        observed = media_insights.c.observed_at.label("insights_observed_at")
        wanted = select(media, *insights, observed).select_from(media.outerjoin(media_insights, same[0] & same[1]))
        wanted = wanted.where(media.c.profile_id == profile_id)
        place = tuple_(media.c.posted_at, media.c.media_id)
        wanted = wanted.where(place < before) if before is not None else wanted
        newest = (media.c.posted_at.desc(), media.c.media_id.desc())
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.order_by(*newest).limit(limit))
            return [_media(row) for row in rows.mappings()]

    async def days(self, profile_id: int, metrics: Sequence[str], first: date, last: date) -> list[StoredDay]:
        """Stored daily values of metrics that have their own columns."""
        columns = [profile_days.c[name + ending] for name in metrics for ending in ("", MISSING)]
        span = (profile_days.c.profile_id == profile_id, profile_days.c.day.between(first, last))
        wanted = select(profile_days.c.day, profile_days.c.revision, profile_days.c.settled, *columns).where(*span)
        async with self._database.read() as connection:
            rows = (await connection.execute(wanted)).mappings().all()
        return [
            StoredDay(
                row["day"], {name: _count(row, name) for name in metrics}, row["revision"], settled=row["settled"]
            )
            for row in rows
        ]

    async def gauges(self, profile_id: int, first: date, last: date) -> list[StoredDay]:
        """The last sample of each day."""
        columns = [profile_samples.c[name] for name in GAUGES]
        span = (profile_samples.c.profile_id == profile_id, profile_samples.c.day.between(first, last))
        wanted = select(profile_samples.c.day, *columns).ext(distinct_on(profile_samples.c.day)).where(*span)
        wanted = wanted.order_by(profile_samples.c.day, profile_samples.c.observed_at.desc())
        async with self._database.read() as connection:
            rows = (await connection.execute(wanted)).mappings().all()
        return [
            StoredDay(row["day"], {name: count_or(row[name], Missing.EMPTY) for name in GAUGES}, 1, settled=True)
            for row in rows
        ]

    async def audience(self, profile_id: int) -> list[AudienceSlice]:
        """The newest distribution of each metric and dimension, largest slices first."""
        key = (audience_slices.c.metric, audience_slices.c.dimension)
        newest = (
            select(*key, audience_slices.c.slices, audience_slices.c.observed_day)
            .ext(distinct_on(*key))
            .where(audience_slices.c.profile_id == profile_id)
            .order_by(*key, audience_slices.c.observed_day.desc())
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).all()
        return [
            AudienceSlice(row.metric, row.dimension, value, count, row.observed_day)
            for row in rows
            for value, count in sorted(row.slices.items(), key=lambda item: (-item[1], item[0]))
        ]

    async def owners(self, identifiers: Sequence[tuple[str, str]]) -> list[Owner]:
        """Profiles that the identifiers (kind, value) name, each by index, and the accounts connected to them."""
        named = [self._tokens.of(kind, value) for kind, value in identifiers]
        if not named:
            return []
        async with self._database.read() as connection:
            rows = await fetch(connection, _OWNERS, {"tokens": named, "dead": ConnectionState.TOKEN_DEAD})
            return [
                Owner(
                    row.instagram_user_id,
                    row.username or "",
                    row.app_user_id or "",
                    frozenset(row.accounts),
                    frozenset(row.recipients),
                )
                for row in rows
            ]
