"""Erasure ledger at a holder: applied at every start, before the service is ready, and hourly.

Each database remembers how far it has applied the ledger. A database restored from a backup remembers less, so it heals
before it serves, without anyone telling it that it was restored.
"""

import asyncio
from typing import TYPE_CHECKING

from igstats.holder.v1.holder_tasks_service_pb2 import Erasure, ListErasuresRequest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError
from igstats_kit.holds import holds_of
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.tables import holder_state, replayed_erasures

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_PAGE = 500
_HOUR_SECONDS = 3600.0

_log = get_logger()


class LedgerReplay:
    """Applies erasures that this database has not seen."""

    def __init__(
        self, holder: str, subjects: Subjects, database: Database, stub: "HolderTasksServiceAsyncStub", clock: Clock
    ) -> None:
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
        applied = 0
        while erasures := await self._next():
            await self._apply(erasures)
            applied += len(erasures)
        return applied

    async def run(self) -> None:
        """Applies the ledger every hour until cancelled."""
        while True:
            await asyncio.sleep(_HOUR_SECONDS)
            try:
                await self.apply()
            except DomainError as error:
                _log.warning("erasure ledger waits", reason=error.reason)

    async def _next(self) -> list[Erasure]:
        async with self._database.read() as connection:
            after = await self._sequence(connection)
        request = ListErasuresRequest(holder=self._holder, after_sequence=after, page_size=_PAGE)
        return list((await self._stub.ListErasures(request)).erasures)

    async def _sequence(self, connection: AsyncConnection) -> int:
        wanted = select(holder_state.c.erasure_sequence).where(holder_state.c.holder == self._holder)
        return await connection.scalar(wanted) or 0

    async def _apply(self, erasures: list[Erasure]) -> None:
        cases = [
            Case(erasure.request_id, tuple(erasure.tokens), holds=holds_of(erasure.holds, self._holder))
            for erasure in erasures
        ]
        async with self._database.transaction() as connection:
            results = await self._subjects.erase(connection, cases)
            mark = {"holder": self._holder, "erasure_sequence": erasures[-1].sequence}
            state = insert(holder_state).values(mark)
            await connection.execute(state.on_conflict_do_update(index_elements=["holder"], set_=mark))
            for erasure in erasures:
                counts = results[erasure.request_id].counts
                if counts:
                    await self._record(connection, erasure, counts)

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
