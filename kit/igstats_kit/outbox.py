"""Transactional outbox: a fact is written with the change it states and published after the commit."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from google.protobuf.message import Message
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from ulid import ULID

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError
from igstats_kit.events import Bus, Event
from igstats_kit.log import get_logger
from igstats_kit.sql import Database, notify_after_commit, shielded
from igstats_kit.tables import outbox
from igstats_kit.telemetry import OUTBOX_WAITING

_BATCH = 256
_IDLE_SECONDS = 5.0
_RETRY_SECONDS = 0.5
_REMOVE_SECONDS = 0.05
_REMOVE_AT = 500

# Taken and removed in one statement; a crash before the commit leaves the row, and its id makes the repeat harmless.
_TAKE = text(
    "DELETE FROM outbox WHERE position IN"
    " (SELECT position FROM outbox ORDER BY position LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING *"
)
_PUT_BACK = text(
    "INSERT INTO outbox (position, event_id, subject, type, data, created_at) OVERRIDING SYSTEM VALUE"
    " VALUES (:position, :event_id, :subject, :type, :data, :created_at)"
)
_REMOVE = text("DELETE FROM outbox WHERE event_id = ANY(CAST(:event_ids AS text[]))")

_log = get_logger()


@dataclass(frozen=True)
class Posted:
    """A fact that the running transaction has written into the outbox."""

    event_id: str
    subject: str
    type: str
    data: bytes

    @classmethod
    def of(cls, subject: str, message: Message, event_id: str | None = None) -> "Posted":
        """A fact to post; `event_id` (default: a new ULID) is its id for ever."""
        made = event_id or str(ULID()).lower()
        return cls(made, subject, message.DESCRIPTOR.full_name, message.SerializeToString())


async def enqueue(connection: AsyncConnection, subject: str, message: Message, *, event_id: str | None = None) -> None:
    """Writes a fact into the outbox of the running transaction."""
    posted = Posted.of(subject, message, event_id)
    await connection.execute(insert(outbox), asdict(posted))
    notify_after_commit(connection, [posted])


class Relay:
    """Publishes facts after their commit: at once those that this process wrote, from the table those left behind.

    Replicas run side by side: rows are taken with SKIP LOCKED, and a fact published twice keeps its id.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._awake = asyncio.Event()
        self._fresh: list[Posted] = []
        self._sent: list[str] = []
        database.after_commit.append(self._on_commit)

    def _on_commit(self, news: Sequence[Posted]) -> None:
        self._fresh += news
        self._awake.set()

    async def run(self) -> None:
        """Publishes until cancelled. A failed publish leaves its row: unknown is retried with the same id."""
        await self._sweep()
        while True:
            try:
                await asyncio.wait_for(self._awake.wait(), _REMOVE_SECONDS if self._sent else _IDLE_SECONDS)
            except TimeoutError:
                await (self._remove() if self._sent else self._sweep())
                continue
            self._awake.clear()
            if not await self._publish_fresh():
                await self._sweep()

    async def _publish_fresh(self) -> bool:
        """Publishes what was just committed, without asking the database for it."""
        fresh, self._fresh = self._fresh, []
        results = await asyncio.gather(*map(self._publish, fresh), return_exceptions=True)
        self._sent += [posted.event_id for posted, result in zip(fresh, results, strict=True) if result is None]
        if len(self._sent) >= _REMOVE_AT:
            await self._remove()
        return all(result is None for result in results)

    async def _remove(self) -> None:
        """Removes the rows of published facts, many at a time. After a crash they go out again, under the same ids."""
        sent, self._sent = self._sent, []
        try:
            async with self._database.statement() as connection:
                await connection.execute(_REMOVE, {"event_ids": sent})
        except DomainError as error:
            self._sent += sent
            _log.warning("outbox waits", reason=error.reason)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _sweep(self) -> None:
        """Publishes what is left in the table: after a start, and when a publish has failed."""
        while True:
            try:
                taken = await shielded(self.publish_batch())
            except DomainError as error:
                _log.warning("outbox waits", reason=error.reason)
                await self._count()
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if taken < _BATCH:
                OUTBOX_WAITING.set(0)
                return

    async def _count(self) -> None:
        with suppress(DomainError):
            async with self._database.read() as connection:
                OUTBOX_WAITING.set(await connection.scalar(select(func.count()).select_from(outbox)) or 0)

    async def publish_batch(self) -> int:
        """Publishes the oldest rows and removes those that the server acknowledged; returns how many were taken.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE when a publish was not acknowledged; the acknowledged ones are gone.
        """
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_TAKE, {"limit": _BATCH})).all()
            facts = [Posted(row.event_id, row.subject, row.type, bytes(row.data)) for row in rows]
            results = await asyncio.gather(*map(self._publish, facts), return_exceptions=True)
            unsent = [row for row, result in zip(rows, results, strict=True) if result is not None]
            if unsent:
                await connection.execute(_PUT_BACK, [dict(row._mapping) for row in unsent])  # noqa: SLF001 - public
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return len(rows)

    async def _publish(self, posted: Posted) -> None:
        now = self._clock.now()
        await self._bus.publish(Event(posted.event_id, posted.subject, posted.type, now, posted.data))
