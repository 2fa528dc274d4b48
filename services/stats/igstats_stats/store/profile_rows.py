"""The profile row itself: made with the first connection, changed only by a newer answer of Instagram."""

from datetime import datetime
from typing import Any

from igstats_kit.pins import Pins
from sqlalchemy import select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_stats.days import day_of
from igstats_stats.model import ProfileFacts
from igstats_stats.store.fenced import OwnerTokens
from igstats_stats.tables import profiles

_NAMES = ("username", "username_token", "app_user_id", "app_user_token")
_CONTENT = (*_NAMES, "name", "biography", "website", "followers", "follows", "media")
# A sample is written when the numbers changed since the last one of the same day, and once a day anyway.
_SAMPLE = text(
    "INSERT INTO profile_samples (profile_id, observed_at, day, followers_count, follows_count, media_count)"
    " SELECT :profile_id, :now, :day, CAST(:followers AS bigint), CAST(:follows AS bigint), CAST(:media AS bigint)"
    " WHERE NOT EXISTS (SELECT FROM (SELECT * FROM profile_samples WHERE profile_id = :profile_id AND day = :day"
    " ORDER BY observed_at DESC LIMIT 1) AS last WHERE (last.followers_count, last.follows_count, last.media_count)"
    " IS NOT DISTINCT FROM (CAST(:followers AS bigint), CAST(:follows AS bigint), CAST(:media AS bigint)))"
    " ON CONFLICT DO NOTHING"
)
_GIVE_UP_USERNAME = update(profiles).values(username=None, username_token=None, revision=profiles.c.revision + 1)


def _values(facts: ProfileFacts, tokens: OwnerTokens) -> dict[str, Any]:
    return {
        "username": facts.username or None,
        "username_token": tokens.username,
        "app_user_id": facts.app_user_id or None,
        "app_user_token": tokens.app_user,
        "name": facts.name,
        "biography": facts.biography,
        "website": facts.website,
        "followers": facts.followers,
        "follows": facts.follows,
        "media": facts.media,
    }


async def ensure(connection: AsyncConnection, facts: ProfileFacts, tokens: OwnerTokens, now: datetime) -> int:
    """Makes the profile's row when there is none; returns our id of it. The caller has asked the fence."""
    identity = {"instagram_user_id": facts.instagram_user_id, "user_token": tokens.user}
    row = {**identity, "name": "", "biography": "", "website": "", "revision": 0, "observed_at": now}
    await connection.execute(insert(profiles).values(row).on_conflict_do_nothing())
    found = select(profiles.c.profile_id).where(profiles.c.instagram_user_id == facts.instagram_user_id)
    return int((await connection.execute(found)).scalar_one())


async def write(
    connection: AsyncConnection,
    pins: Pins,
    profile_id: int,
    facts: ProfileFacts,
    tokens: OwnerTokens,
    now: datetime,
) -> int:
    """Writes what changed and a sample; returns how many profile rows changed. The caller has asked the fence.

    What the owner had corrected stays as it is until Instagram says the same (GDPR 16).
    """
    values = (await pins.settle(connection, profiles.name, {tokens.user: _values(facts, tokens)}))[tokens.user]
    await _take_username(connection, profile_id, values["username_token"])
    old, new = tuple_(*(profiles.c[name] for name in _CONTENT)), tuple_(*(values[name] for name in _CONTENT))
    changed = update(profiles).where(profiles.c.profile_id == profile_id, old.is_distinct_from(new))
    result = await connection.execute(changed.values(**values, observed_at=now, revision=profiles.c.revision + 1))
    numbers = {"followers": facts.followers, "follows": facts.follows, "media": facts.media}
    await connection.execute(_SAMPLE, {"profile_id": profile_id, "now": now, "day": day_of(now), **numbers})
    return result.rowcount


async def _take_username(connection: AsyncConnection, profile_id: int, token: bytes | None) -> None:
    """A username has one owner: whoever had it before has another one now, which the next sync will tell."""
    if token is not None:
        others = (profiles.c.username_token == token, profiles.c.profile_id != profile_id)
        await connection.execute(_GIVE_UP_USERNAME.where(*others))
