"""Writes what a synchronisation brings. Each batch is one transaction: fence, lease, rows, event.

A batch of an erased person is refused by the fence; one of a connection that was ended meanwhile, by its lease.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from igstats_kit.clock import Clock
from igstats_kit.fence import admit
from igstats_kit.outbox import enqueue
from igstats_kit.pins import Pins
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens
from sqlalchemy import Executable, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_stats.errors import LeaseLostError
from igstats_stats.events import PROFILE_CHANGED, profile_changed
from igstats_stats.model import (
    AudienceFacts,
    Count,
    DayFacts,
    InsightFacts,
    Lease,
    MediaDue,
    MediaFacts,
    ProfileFacts,
    Unsupported,
)
from igstats_stats.store import profile_rows
from igstats_stats.store.fenced import profile_tokens
from igstats_stats.store.upsert import arrays, narrow, wide, wide_names
from igstats_stats.tables import (
    DAY_METRICS,
    MEDIA_METRICS,
    MISSING,
    audience_slices,
    capabilities,
    connections,
    media,
    media_insights,
    profile_days,
    profiles,
)

LEASE_TIME = timedelta(minutes=2)
_MEDIA = (
    *("media_type", "product_type", "caption", "permalink", "posted_at"),
    *("likes", "likes_missing", "comments", "comments_missing"),
)
_MEDIA_ROW = ("media_id", *_MEDIA, "observed_at", "insights_due_at")
_AUDIENCE = ("slices", "missing")
_AUDIENCE_ROW = ("metric", "dimension", "observed_day", *_AUDIENCE, "observed_at")
_UPSERT_DAYS = wide(profile_days, DAY_METRICS, "day")
_UPSERT_INSIGHTS = wide(media_insights, MEDIA_METRICS, "media_id")
_UPSERT_MEDIA = narrow(media, _MEDIA_ROW, _MEDIA)
_UPSERT_AUDIENCE = narrow(audience_slices, _AUDIENCE_ROW, _AUDIENCE)
_SET_INSIGHTS_DUE = text(
    "UPDATE media AS m SET insights_due_at = n.due"
    " FROM unnest(CAST(:media_id AS text[]), CAST(:insights_due_at AS timestamptz[])) AS n(media_id, due)"
    " WHERE m.profile_id = :profile AND m.media_id = n.media_id"
)


def _cells(counts: Mapping[str, Count]) -> dict[str, int | None]:
    """Counts as the two columns that each metric has."""
    values = {name: count.value for name, count in counts.items()}
    reasons = {name + MISSING: count.missing for name, count in counts.items()}
    return {**values, **{name: None if reason is None else int(reason) for name, reason in reasons.items()}}


class IngestStore:
    """Writes for one lease at a time."""

    def __init__(self, database: Database, tokens: Tokens, pins: Pins, clock: Clock) -> None:
        self._database = database
        self._pins = pins
        self._tokens = tokens
        self._clock = clock

    async def touch(self, lease: Lease) -> None:
        """Asks the fence and prolongs the lease, before Instagram is asked anything and while it is slow."""
        async with self._batch(lease, lease.tokens):
            pass

    async def save_profile(self, lease: Lease, facts: ProfileFacts) -> Lease:
        """Writes the profile; returns the lease with the tokens that its later batches must ask the fence for."""
        tokens = profile_tokens(self._tokens, facts)
        async with self._batch(lease, {*lease.tokens, *tokens.known}) as connection:
            written = await profile_rows.write(
                connection, self._pins, lease.profile_id, facts, tokens, self._clock.now()
            )
            await self._tell(connection, lease, "profile", written)
        return replace(lease, tokens=tokens.known)

    async def save_days(self, lease: Lease, found: Sequence[DayFacts]) -> None:
        """Writes daily values; a day that is past its time of corrections is marked as settled."""
        now = self._clock.now()
        rows = [{"day": f.day, "settled": f.settled, "observed_at": now, **_cells(f.counts)} for f in found]
        names = wide_names(profile_days, DAY_METRICS, "day")
        await self._save(lease, "day", _UPSERT_DAYS, names, rows)

    async def save_media(self, lease: Lease, found: Sequence[MediaFacts]) -> None:
        """Writes media items; new ones become due for their insights."""
        now = self._clock.now()
        rows = {facts.media_id: self._media_row(facts, now) for facts in found}
        await self._save(lease, "media", _UPSERT_MEDIA, _MEDIA_ROW, list(rows.values()))

    @staticmethod
    def _media_row(facts: MediaFacts, now: datetime) -> dict[str, Any]:
        return {
            "media_id": facts.media_id,
            "media_type": facts.media_type,
            "product_type": facts.product_type,
            "caption": facts.caption,
            "permalink": facts.permalink,
            "posted_at": facts.posted_at,
            **_cells({"likes": facts.likes, "comments": facts.comments}),
            "observed_at": now,
            "insights_due_at": facts.posted_at,
        }

    async def save_insights(self, lease: Lease, found: Sequence[InsightFacts]) -> None:
        """Writes insights of media items and when to ask again."""
        now = self._clock.now()
        rows = [{"media_id": f.media_id, "observed_at": now, **_cells(f.counts)} for f in found if f.counts]
        names = wide_names(media_insights, MEDIA_METRICS, "media_id")
        due = {"media_id": [f.media_id for f in found], "insights_due_at": [f.next_due for f in found]}
        async with self._batch(lease, lease.tokens) as connection:
            written = await self._write(connection, lease, _UPSERT_INSIGHTS, names, rows)
            await connection.execute(_SET_INSIGHTS_DUE, {"profile": lease.profile_id} | due)
            await self._tell(connection, lease, "media", written)

    async def save_audience(self, lease: Lease, found: Sequence[AudienceFacts], day: date, next_due: datetime) -> None:
        """Writes distributions as of a day and when to ask again."""
        now = self._clock.now()
        rows = [
            {
                "metric": facts.metric,
                "dimension": facts.dimension,
                "observed_day": day,
                "slices": dict(facts.slices),
                "missing": None if facts.missing is None else int(facts.missing),
                "observed_at": now,
            }
            for facts in found
        ]
        async with self._batch(lease, lease.tokens) as connection:
            written = await self._write(connection, lease, _UPSERT_AUDIENCE, _AUDIENCE_ROW, rows)
            own = profiles.c.profile_id == lease.profile_id
            await connection.execute(update(profiles).where(own).values(audience_due_at=next_due))
            await self._tell(connection, lease, "audience", written)

    async def save_unsupported(self, lease: Lease, refused: Unsupported) -> None:
        """Remembers metrics that Instagram refused."""
        now = self._clock.now()
        key = {"profile_id": lease.profile_id, "product_type": refused.product_type}
        rows = [{**key, "metric": metric, "marked_at": now} for metric in sorted(refused.metrics)]
        upsert = insert(capabilities).values(rows)
        upsert = upsert.on_conflict_do_update(constraint=capabilities.primary_key, set_={"marked_at": now})
        async with self._batch(lease, lease.tokens) as connection:
            await connection.execute(upsert)

    async def save_walked(self, lease: Lease) -> None:
        """Remembers that all media were walked to the end."""
        own = profiles.c.profile_id == lease.profile_id
        async with self._batch(lease, lease.tokens) as connection:
            await connection.execute(update(profiles).where(own).values(media_walked_at=self._clock.now()))

    async def unsupported(self, profile_id: int, since: datetime) -> dict[str, frozenset[str]]:
        """Metrics refused since a time, by product type."""
        recent = (capabilities.c.profile_id == profile_id, capabilities.c.marked_at >= since)
        names = func.array_agg(capabilities.c.metric).label("metrics")
        wanted = select(capabilities.c.product_type, names).where(*recent).group_by(capabilities.c.product_type)
        async with self._database.read() as connection:
            return {row.product_type: frozenset(row.metrics) for row in await connection.execute(wanted)}

    async def settled_days(self, profile_id: int, first: date) -> set[date]:
        """Days from `first` on that need not be asked again."""
        settled = (profile_days.c.profile_id == profile_id, profile_days.c.day >= first, profile_days.c.settled)
        async with self._database.read() as connection:
            return set((await connection.execute(select(profile_days.c.day).where(*settled))).scalars())

    async def insights_due(self, profile_id: int, limit: int) -> list[MediaDue]:
        """Media items whose insights should be asked now, the youngest first: they change most."""
        due = (media.c.profile_id == profile_id, media.c.insights_due_at <= self._clock.now())
        columns = (media.c.media_id, media.c.product_type, media.c.posted_at)
        wanted = select(*columns).where(*due).order_by(media.c.posted_at.desc()).limit(limit)
        async with self._database.read() as connection:
            return [MediaDue(*row) for row in await connection.execute(wanted)]

    @asynccontextmanager
    async def _batch(self, lease: Lease, tokens: Sequence[bytes] | set[bytes]) -> AsyncIterator[AsyncConnection]:
        """A transaction that the fence and the lease let through.

        Raises:
            DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED.
            LeaseLostError: The connection is gone, or another replica synchronises it.
        """
        mine = (connections.c.connection_id == lease.connection_id, connections.c.lease_id == lease.lease_id)
        prolong = update(connections).where(*mine).values(leased_until=self._clock.now() + LEASE_TIME)
        async with self._database.transaction() as connection:
            await admit(connection, sorted(tokens))
            if (await connection.execute(prolong)).rowcount != 1:
                raise LeaseLostError
            yield connection

    async def _save(
        self, lease: Lease, kind: str, statement: Executable, names: Sequence[str], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        async with self._batch(lease, lease.tokens) as connection:
            await self._tell(connection, lease, kind, await self._write(connection, lease, statement, names, rows))

    @staticmethod
    async def _write(
        connection: AsyncConnection,
        lease: Lease,
        statement: Executable,
        names: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
    ) -> int:
        if not rows:
            return 0
        written = await connection.execute(statement, {"profile_id": lease.profile_id, **arrays(names, rows)})
        return len(written.all())

    @staticmethod
    async def _tell(connection: AsyncConnection, lease: Lease, kind: str, written: int) -> None:
        if written:
            await enqueue(connection, PROFILE_CHANGED, profile_changed(lease.profile_id, {kind: written}))
