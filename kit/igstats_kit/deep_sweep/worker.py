"""Runs deep sweeps when they are due, leaves a record of each, and raises an alarm for what should not be there.

Needles live for it, sealed, from FENCE until the last search has found nothing; then they are destroyed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from igstats_kit.clock import Clock
from igstats_kit.deep_sweep import store
from igstats_kit.deep_sweep.model import Erased, Needles, Report, judge, payload
from igstats_kit.deep_sweep.search import Search
from igstats_kit.deep_sweep.store import Due
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.telemetry import DEEP_SWEEP_FINDINGS, DEEP_SWEEPS
from igstats_kit.worker import regularly

_BATCH = 100
_PAUSE_SECONDS = 60.0
_REPAIR = timedelta(days=1)

_log = get_logger()


@dataclass(frozen=True)
class Schedule:
    """When to search: `first` after an erasure, and again `last` after it, when its backups have expired."""

    first: timedelta
    last: timedelta


class DeepSweep:
    """The deep sweeps of one holder."""

    def __init__(
        self, holder: str, database: Database, sealer: Sealer, search: Search, schedule: Schedule, clock: Clock
    ) -> None:
        self._holder = holder
        self._database = database
        self._sealer = sealer
        self._search = search
        self._schedule = schedule
        self._clock = clock

    async def run(self) -> None:
        """Searches what is due until cancelled; one process at a time."""
        pause = min(_PAUSE_SECONDS, max(1.0, self._schedule.first.total_seconds()))
        await regularly(self._look, pause, "deep sweep waits")

    async def _look(self) -> None:
        async with self._database.alone("deep sweep"):
            while await self.run_once():
                pass

    async def run_once(self) -> int:
        """Searches for the needles of everything that is due, at most 100 erasures; answers how many.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; nothing is recorded, and the search is still due.
        """
        now = self._clock.now()
        async with self._database.read() as connection:
            due = await store.due(connection, now, _BATCH)
            kept = await store.kept(connection, [one.request_id for one in due]) if due else {}
        erasures = [replace(self._opened(one, now), kept=kept.get(one.request_id, frozenset())) for one in due]
        if erasures:
            needles = Needles(erasures)
            await self._conclude(erasures, needles, await self._search.run(erasures, needles), now)
        return len(erasures)

    def _opened(self, due: Due, now: datetime) -> Erased:
        values = json.loads(self._sealer.open(due.sealed, due.request_id))
        return Erased(due.request_id, tuple(values), due.erased_at, last=now >= due.erased_at + self._schedule.last)

    async def _conclude(self, erasures: Sequence[Erased], needles: Needles, report: Report, now: datetime) -> None:
        verdicts = {one.request_id: judge(one, report.found[one.request_id], self._search.lawful) for one in erasures}
        done = [one.request_id for one in erasures if one.last and not verdicts[one.request_id].findings]
        early = [one for one in erasures if not one.last]
        late = [one.request_id for one in erasures if one.last and verdicts[one.request_id].findings]
        async with self._database.transaction() as connection:
            for one in erasures:
                said = payload(one, report, verdicts[one.request_id], needles.unsearched[one.request_id])
                await record(connection, self._holder, "sweep.deep", said, now=now, request_id=one.request_id)
            for one in early:
                await store.search_again(connection, [one.request_id], one.erased_at + self._schedule.last)
            await store.search_again(connection, late, now + _REPAIR)
            await store.destroy(connection, done)
        for request_id, verdict in verdicts.items():
            DEEP_SWEEPS.labels(outcome=verdict.outcome).inc()
            for place in verdict.findings:
                DEEP_SWEEP_FINDINGS.labels(kind=place.kind).inc()
                _log.error("deep sweep found data of an erased person", request_id=request_id, store=str(place))
