"""Erasure ledger at a holder: applied at every start, before the service is ready, and hourly.

Each database remembers how far it has applied the ledger. A database restored from a backup remembers less, so it heals
before it serves, without anyone telling it that it was restored. What a task will erase that is not offered yet is left
to it, and fenced only: until then a hold may come, and the receipt counts what the task finds. The mark stays before
such an entry: a backup of today must not take the erasure of tomorrow for done.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from igstats.holder.v1.holder_tasks_service_pb2 import Erasure, ListErasuresRequest
from igstats.holder.v1.task_pb2 import Phase
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError
from igstats_kit.holds import holds_of
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.tables import holder_state, replayed_erasures, task_receipts

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_PAGE = 500
_HOUR_SECONDS = 3600.0
_SEARCH_AFTER = timedelta(hours=1)

_REMEMBERED = text(
    "SELECT request_id, array_agg(encode(token, 'hex') ORDER BY token) AS tokens,"
    " to_char(min(created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS since"
    " FROM tombstones GROUP BY request_id ORDER BY min(created_at), request_id"
)

_log = get_logger()


class LedgerReplay:
    """Applies erasures that this database has not seen."""

    def __init__(
        self,
        holder: str,
        subjects: Subjects,
        database: Database,
        stub: "HolderTasksServiceAsyncStub",
        clock: Clock,
        search_after: timedelta = _SEARCH_AFTER,
    ) -> None:
        self._search_after = search_after
        self._holder = holder
        self._subjects = subjects
        self._database = database
        self._stub = stub
        self._clock = clock

    async def apply(self) -> int:
        """Applies everything newer than the high-water mark; returns how many erasures that were.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE while privacy does not answer.
        """
        after, applied, waiting = await self._sequence(), 0, False
        while erasures := await self._next(after):
            done = [one for one in erasures if not one.pending]
            through = next((one.sequence - 1 for one in erasures if one.pending), erasures[-1].sequence)
            await self._apply(erasures, done, None if waiting else through)
            after, applied, waiting = erasures[-1].sequence, applied + len(done), waiting or len(done) < len(erasures)
        return applied

    async def run(self) -> None:
        """Applies the ledger every hour until cancelled."""
        while True:
            await asyncio.sleep(_HOUR_SECONDS)
            try:
                await self.apply()
            except DomainError as error:
                _log.warning("erasure ledger waits", reason=error.reason)

    async def _next(self, after: int) -> list[Erasure]:
        request = ListErasuresRequest(holder=self._holder, after_sequence=after, page_size=_PAGE)
        return list((await self._stub.ListErasures(request)).erasures)

    async def _sequence(self) -> int:
        wanted = select(holder_state.c.erasure_sequence).where(holder_state.c.holder == self._holder)
        async with self._database.read() as connection:
            return await connection.scalar(wanted) or 0

    async def _apply(self, erasures: Sequence[Erasure], done: Sequence[Erasure], through: int | None) -> None:
        """Fences all, erases what is done: what is found again is searched for again, too."""
        async with self._database.transaction() as connection:
            own = await _erased_by_task(connection, [one.request_id for one in erasures])
            fresh = await self._subjects.fence(connection, self._cases(erasures, own), found_only=True)
            results = await self._subjects.erase(connection, self._cases(done, own))
            await self._forget(connection, [one.request_id for one in done if one.ended], fresh)
            for erasure in done:
                if erasure.request_id in results and (counts := results[erasure.request_id].counts):
                    await self._record(connection, erasure, counts)
            if through is not None:
                await self._mark(connection, through)

    def _cases(self, erasures: Sequence[Erasure], own: set[str]) -> list[Case]:
        return [
            Case(one.request_id, tuple(one.tokens), holds=holds_of(one.holds, self._holder))
            for one in erasures
            if one.request_id not in own
        ]

    async def _forget(self, connection: AsyncConnection, ended: Sequence[str], fresh: frozenset[str]) -> None:
        """No ATTEST comes any more to take the keys, and to plan the search for what was here again."""
        await self._subjects.let_go(connection, ended)
        if found := [name for name in ended if name in fresh]:
            now = self._clock.now()
            await self._subjects.forget(connection, found, now, now + self._search_after)

    async def _mark(self, connection: AsyncConnection, through: int) -> None:
        mark = {"holder": self._holder, "erasure_sequence": through}
        state = insert(holder_state).values(mark)
        await connection.execute(state.on_conflict_do_update(index_elements=["holder"], set_=mark))

    async def _record(self, connection: AsyncConnection, erasure: Erasure, counts: dict[str, int]) -> None:
        # The request's own ERASE task may still come: its receipt must count what the replay erased.
        for store, count in counts.items():
            replayed = insert(replayed_erasures).values(request_id=erasure.request_id, store=store, erased=count)
            added = replayed_erasures.c.erased + replayed.excluded.erased
            merged = replayed.on_conflict_do_update(index_elements=["request_id", "store"], set_={"erased": added})
            await connection.execute(merged)
        payload = {"sequence": erasure.sequence, "counts": dict(counts)}
        now = self._clock.now()
        await record(connection, self._holder, "erasure.replayed", payload, now=now, request_id=erasure.request_id)


async def remembered(database: Database, holder: str) -> list[dict[str, object]]:
    """What a holder knows of the ledger: how far it has applied it, then each erasure with its tokens in hex."""
    async with database.read() as connection:
        applied = select(holder_state.c.erasure_sequence).where(holder_state.c.holder == holder)
        first: dict[str, object] = {"holder": holder, "applied": await connection.scalar(applied) or 0}
        rows = (await connection.execute(_REMEMBERED)).mappings()
        return [first, *(dict(row) for row in rows)]


async def _erased_by_task(connection: AsyncConnection, request_ids: list[str]) -> set[str]:
    """Requests that this database knows to have erased itself, with the holds of that time.

    A ledger that was rebuilt brings them once more, and may no longer know what a hold kept.
    """
    acted = task_receipts.c.phase.in_([Phase.PHASE_ERASE, Phase.PHASE_ATTEST])  # the last word may have erased anew
    named = (task_receipts.c.request_id.in_(request_ids), acted)
    return set((await connection.execute(select(task_receipts.c.request_id).where(*named))).scalars())
