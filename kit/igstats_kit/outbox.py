"""Transactional outbox: a fact is written with the change it states and published after the commit."""

import asyncio
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from ulid import ULID

from igstats_kit.errors import DomainError
from igstats_kit.events import Bus, Event
from igstats_kit.log import get_logger
from igstats_kit.sql import Database, notify_after_commit, shielded
from igstats_kit.tables import outbox
from igstats_kit.telemetry import OUTBOX_WAITING

_BATCH = 256
_IDLE_SECONDS = 5.0
_RETRY_SECONDS = 0.5

# Taken and removed in one statement; a crash before the commit leaves the row, and its id makes the repeat harmless.
_TAKE = text(
    "DELETE FROM outbox WHERE position IN"
    " (SELECT position FROM outbox ORDER BY position LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING *"
)
_PUT_BACK = text(
    "INSERT INTO outbox (position, event_id, subject, type, data, created_at) OVERRIDING SYSTEM VALUE"
    " VALUES (:position, :event_id, :subject, :type, :data, :created_at)"
)

_log = get_logger()


async def enqueue(connection: AsyncConnection, subject: str, message: Message, *, event_id: str | None = None) -> None:
    """Writes a fact into the outbox of the running transaction. `event_id` (default: a new ULID) is its id for ever."""
    row = {
        "event_id": event_id or str(ULID()).lower(),
        "subject": subject,
        "type": message.DESCRIPTOR.full_name,
        "data": message.SerializeToString(),
    }
    await connection.execute(insert(outbox), row)
    notify_after_commit(connection)


class Relay:
    """Publishes outbox rows. Replicas run side by side: rows are taken with SKIP LOCKED, a duplicate keeps its id."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._awake = asyncio.Event()
        database.after_commit.append(self._awake.set)

    def wake(self) -> None:
        """Looks into the outbox at once."""
        self._awake.set()

    async def run(self) -> None:
        """Publishes until cancelled. A failed publish leaves its row: unknown is retried with the same id."""
        while True:
            self._awake.clear()
            try:
                full = await shielded(self.publish_batch()) == _BATCH
            except DomainError as error:
                _log.warning("outbox waits", reason=error.reason)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if not full:
                await self._rest()

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._awake.wait(), _IDLE_SECONDS)
        except TimeoutError:
            async with self._database.read() as connection:
                count = await connection.scalar(select(func.count()).select_from(outbox))
            OUTBOX_WAITING.set(count or 0)

    async def publish_batch(self) -> int:
        """Publishes the oldest rows and removes those that the server acknowledged; returns how many were taken.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE when a publish was not acknowledged; the acknowledged ones are gone.
        """
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_TAKE, {"limit": _BATCH})).all()
            results = await asyncio.gather(*(self._publish(row) for row in rows), return_exceptions=True)
            unsent = [row for row, result in zip(rows, results, strict=True) if result is not None]
            if unsent:
                await connection.execute(_PUT_BACK, [dict(row._mapping) for row in unsent])  # noqa: SLF001 - public
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return len(rows)

    async def _publish(self, row: Any) -> None:  # noqa: ANN401 - a row of the outbox
        event = Event(id=row.event_id, subject=row.subject, type=row.type, time=row.created_at, data=bytes(row.data))
        await self._bus.publish(event)
