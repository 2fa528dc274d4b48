"""The erasure ledger as holders read it: what was accepted after a number, in order and without gaps."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import hold_store, holder_store
from igstats_privacy.errors import holder_unknown, ledger_behind
from igstats_privacy.model import Erasure
from igstats_privacy.remembered import Memory
from igstats_privacy.store import Connection

_PAGE = 500

_log = get_logger()


class Ledger:
    """Reads the ledger. Triage writes it, in the transaction that accepts an erasure."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ahead: set[str] = set()
        self._went_back = asyncio.Event()

    async def after(self, holder: str, sequence: int, page_size: int) -> list[Erasure]:
        """Entries after `sequence`, at most 500; none at the end.

        Raises:
            DomainError: HOLDER_UNKNOWN; DEPENDENCY_UNAVAILABLE when the holder knows more than this ledger holds.
        """
        async with self._database.transaction() as connection:
            if not await holder_store.seen(connection, holder, self._clock.now()):
                raise holder_unknown(holder)
            head = await holder_store.ledger_head(connection)
            if sequence > head:
                await self._note(connection, holder, sequence, head)
            found = await holder_store.erasures(connection, holder, sequence, min(page_size or _PAGE, _PAGE))
            ids = [one.request_id for one in found]
            ends = (found[0].sequence, found[-1].sequence) if found else (0, 0)
            holds = await hold_store.of_erasures(connection, holder, ends, ids, self._clock.now()) if found else {}
        if sequence > head:
            raise ledger_behind()
        return [replace(one, holds=tuple(holds.get(one.request_id, ()))) for one in found]

    async def _note(self, connection: Connection, holder: str, applied: int, head: int) -> None:
        """Says once a process that this database was restored from a backup older than what a holder has applied."""
        if holder not in self._ahead:
            payload = {"holder": holder, "applied": applied, "head": head}
            await record(connection, "privacy", "ledger.went_back", payload, now=self._clock.now())
            _log.error("erasure ledger went back", holder=holder, sequence=head)
        self._ahead.add(holder)
        self._went_back.set()

    async def rebuild(self, memory: Memory, kept: timedelta) -> tuple[int, int]:
        """Writes what a restored ledger lacks and holders remember; answers how many entries, and the last number.

        They get numbers that no holder has seen, so that every one applies them: a holder that has done its own task
        skips it (`igstats_kit.ledger`), and a restored one erases. Doing it again adds nothing.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            head = await holder_store.lock_ledger(connection)
            known = await holder_store.in_ledger(connection, [one.request_id for one in memory.erasures])
            lost, last = memory.missing(known, head, now - kept)
            await holder_store.add_to_ledger(connection, lost, last)
            payload = {"added": len(lost), "head": head, "new_head": last, "applied": memory.applied}
            await record(connection, "privacy", "ledger.rebuilt", payload, now=now)
        return len(lost), last

    async def guard(self, stop: Callable[[], Awaitable[object]]) -> None:
        """Runs until cancelled; calls `stop` once it shows that erasures are missing: nobody should be served then."""
        await self._went_back.wait()
        await stop()
        await asyncio.Event().wait()
