"""The reconciler: what was lost is offered again, what stands still becomes visible, what waited for a date goes on.

A lost message delays a request and never drops it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger
from igstats_kit.outbox import enqueue_all
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import events, store, task_store
from igstats_privacy.changes import Changes
from igstats_privacy.clocks import LATE_AFTER
from igstats_privacy.exports import Exports
from igstats_privacy.fanout import Fanout
from igstats_privacy.lifecycle import Move, movable, moved
from igstats_privacy.store import Connection

_SWEEP_SECONDS = 15.0
_BATCH = 512
_ALIVE = timedelta(seconds=60)

_log = get_logger()


class Fallback(Protocol):
    """What is done instead of a request that nobody has proved."""

    async def expiring(self, connection: Connection, request_ids: Sequence[str]) -> Sequence[str]:
        """Opens what these locked requests fall back to, before they end; answers the ids of the new requests."""
        ...


class Holds(Protocol):
    """Holds that end by themselves."""

    async def end_due(self) -> Sequence[str]:
        """Releases those whose time is over, so that what they kept back goes on."""
        ...


class Reconciler:
    """Looks after open requests until they have ended."""

    def __init__(
        self,
        database: Database,
        fanout: Fanout,
        exports: Exports,
        changes: Changes,
        clock: Clock,
        fallback: Fallback,
        holds: Holds,
    ) -> None:
        self._holds = holds
        self._fallback = fallback
        self._database = database
        self._fanout = fanout
        self._exports = exports
        self._changes = changes
        self._clock = clock

    async def run(self) -> None:
        """Sweeps every 15 s, and exactly when a request's date comes, until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(await self._pause())

    async def _pause(self) -> float:
        try:
            async with self._database.read() as connection:
                date = await store.next_date(connection)
        except DomainError:
            date = None
        if date is None:
            return _SWEEP_SECONDS
        return min(_SWEEP_SECONDS, max(0.0, (date - self._clock.now()).total_seconds()))

    async def sweep(self) -> None:
        """Does everything once. A step that fails is tried again with the next sweep; the others go on."""
        steps: tuple[Callable[[], Awaitable[object]], ...] = (
            self.offer_again,
            self.block_late,
            self.end_settled,
            self.end_unproved,
            self.mark_overdue,
            self._holds.end_due,
            self._exports.destroy_expired,
        )
        for step in steps:
            try:
                await step()
            except DomainError as error:
                _log.warning("reconciler waits", reason=error.reason)

    async def offer_again(self) -> int:
        """Offers tasks again that were not settled in time; returns how many."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            due = await task_store.due(connection, now, now - _ALIVE, _BATCH)
            if due:
                again = {key: self._fanout.next_offer(now, offers + 1) for key, offers in due}
                await task_store.offer_again(connection, again, now)
                await enqueue_all(
                    connection, store.drafted(events.tasks_offered(again, {key.request_id for key in again}))
                )
        return len(due)

    async def block_late(self) -> set[str]:
        """Makes tasks visible that nobody has settled for a day, or whose holder was switched off meanwhile."""
        late = self._clock.now() - LATE_AFTER
        async with self._database.transaction() as connection:
            locked = await store.lock(connection, await task_store.troubled(connection, late))
            touched = await task_store.block(connection, locked, late) if locked else set()
            await self._fanout.advance(connection, touched)
        self._changes.publish(touched)
        return touched

    async def end_settled(self) -> list[str]:
        """Ends requests whose processors and backups have passed their dates."""
        async with self._database.transaction() as connection:
            due = await store.settled_by(connection, self._clock.now(), _BATCH)
            await store.lock(connection, due)
            await self._fanout.advance(connection, due)
        self._changes.publish(due)
        return due

    async def end_unproved(self) -> list[str]:
        """Ends requests whose identity nobody has proved in time."""
        async with self._database.transaction() as connection:
            due = await store.unproved(connection, self._clock.now(), _BATCH)
            locked = await store.lock(connection, due)
            old = {name: state for name, (_, state) in locked.items() if state in movable(Move.EXPIRE)}
            await self._fallback.expiring(connection, list(old))
            new = {name: moved(state, Move.EXPIRE) for name, state in old.items()}
            await self._fanout.move(connection, old, new)
        self._changes.publish(old)
        return list(old)

    async def mark_overdue(self) -> list[str]:
        """Records every request whose answer has become due without an end."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            overdue = await store.mark_overdue(connection, now)
            for request_id in overdue:
                await record(connection, "privacy", "request.overdue", {}, now=now, request_id=request_id)
        for request_id in overdue:
            _log.error("request overdue", request_id=request_id)
        self._changes.publish(overdue)
        return overdue
