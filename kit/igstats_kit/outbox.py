"""Transactional outbox: a fact is written with the change it states and published after the commit."""

import asyncio
from collections.abc import Sequence

from google.protobuf.message import Message
from sqlalchemy import delete, func, insert, select
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
            oldest = select(outbox).order_by(outbox.c.position).limit(_BATCH).with_for_update(skip_locked=True)
            rows = (await connection.execute(oldest)).all()
            events = [
                Event(id=row.event_id, subject=row.subject, type=row.type, time=row.created_at, data=bytes(row.data))
                for row in rows
            ]
            results = await asyncio.gather(*map(self._bus.publish, events), return_exceptions=True)
            sent = [row.position for row, result in zip(rows, results, strict=True) if result is None]
            await _remove(connection, sent)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return len(rows)


async def _remove(connection: AsyncConnection, positions: Sequence[int]) -> None:
    if positions:
        await connection.execute(delete(outbox).where(outbox.c.position.in_(positions)))
