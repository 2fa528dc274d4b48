"""Writes new requests. Those that come while a write runs go together in the next: a burst costs a few commits.

The same holds for what follows: triage hears of them when nobody waits to be written any more, or when they fill a
batch of its own, so that a burst stays together through all phases.
"""

import asyncio
from collections.abc import Callable, Sequence

from igstats_kit.errors import passes
from igstats_kit.outbox import enqueue_all
from igstats_kit.sql import Database

from igstats_privacy import events, store
from igstats_privacy.model import Change, State
from igstats_privacy.store import Opening

_MOST = 128

_Waiting = tuple[Opening, "asyncio.Future[bool]"]


class Openings:
    """One writer at a time; nobody waits for company."""

    def __init__(self, database: Database, written: Callable[[], None]) -> None:
        self._database = database
        self._written = written
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def add(self, opening: Opening) -> bool:
        """Durable when it answers; False when the idempotency key stands for another request already.

        A cancelled caller cancels nothing: its request is written with the others.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the request may or may not be written, so repeat it with the same key.
        """
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((opening, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        return await written

    async def _write_all(self) -> None:
        untold = 0
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._settle(batch)
                untold += len(batch)
                if untold >= _MOST or not self._waiting:
                    self._written()
                    untold = 0
        finally:
            self._writer = None

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        try:
            added = await self._write([opening for opening, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            if len(batch) > 1 and not passes(error):
                for one in batch:  # one that cannot be written must not hold up the others
                    await self._settle([one])
                return
            for _, written in batch:
                if not written.done():
                    written.set_exception(error)
        else:
            for opening, written in batch:
                if not written.done():
                    written.set_result(opening.request.request_id in added)

    async def _write(self, openings: Sequence[Opening]) -> set[str]:
        # One is known to be added if anything is, so the fact goes along: one statement, one commit.
        if len(openings) == 1 and openings[0].reply is None:
            async with self._database.statement() as connection:
                return await store.add(connection, openings, _facts(openings))
        async with self._database.transaction() as connection:
            added = await store.add(connection, openings, [])
            fresh = [one for one in openings if one.request.request_id in added]
            await enqueue_all(connection, store.drafted(_facts(fresh)))
        return added


def _facts(openings: Sequence[Opening]) -> list[events.Fact]:
    if not openings:
        return []
    changes = [Change(one.request.request_id, None, State.RECEIVED) for one in openings]
    return events.requests_changed(changes, openings[-1].request.received_at)
