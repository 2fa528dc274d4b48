"""The monitor's day: a whole look at the start and once a day, and in between a look at whatever is new."""

import asyncio
import copy
from collections.abc import Sequence
from datetime import datetime, timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger

from igstats_audit.monitor.findings import Findings, Telling
from igstats_audit.monitor.look import Looker
from igstats_audit.monitor.memory import MemoryFiles
from igstats_audit.telemetry import LOOKS

_WHOLE_EVERY = timedelta(days=1)
_AGAIN_AFTER = timedelta(hours=1)
_SOON = timedelta(minutes=1)
"""When a whole look comes again that the service did not answer: it starts together with the monitor, and soon does."""

_log = get_logger()


class Watch:
    """Looks at logs again and again."""

    def __init__(
        self, lookers: Sequence[Looker], files: MemoryFiles, findings: Findings, clock: Clock, *, grace: timedelta
    ) -> None:
        self._lookers = lookers
        self._files = files
        self._findings = findings
        self._clock = clock
        self._grace = grace
        self._due: datetime | None = None
        self._patience = _SOON

    async def run(self, pause: float) -> None:
        """Looks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(pause)

    async def look(self) -> int:
        """Looks at every log and tells what is wrong; answers how many findings are new."""
        now = self._clock.now()
        whole = self._due is None or now >= self._due
        results = [await self._look_at(looker, now, whole=whole) for looker in self._lookers]
        if whole and None not in results:
            self._due = now + self._rest(goes_on=any(result and result.goes_on for result in results))
        return sum(result.new for result in results if result)

    def _rest(self, *, goes_on: bool) -> timedelta:
        """How long after a whole look the next one comes: twice as long each time that the service did not answer."""
        if all(looker.complete for looker in self._lookers):
            self._patience = _SOON
            return _AGAIN_AFTER if goes_on else _WHOLE_EVERY
        rest, self._patience = self._patience, min(self._patience * 2, _AGAIN_AFTER)
        return rest

    async def _look_at(self, looker: Looker, now: datetime, *, whole: bool) -> Telling | None:
        """Looks at one log; None when that was not possible. What could not be told is not remembered as seen."""
        log, before = looker.memory.log, copy.deepcopy(looker.memory)
        try:
            found = await self._findings.lost(looker.memory)
            found += await looker.look(now, whole=whole)
            found += looker.memory.counter.gaps(now, self._grace)
            if whole:
                found += looker.memory.counter.repeats(looker.memory.minimum_index)
                if looker.complete:
                    looker.memory.forget_mended(found)
            telling = await self._findings.tell(found, looker.memory, now)
            if whole and looker.memory.audited_at is not None:
                await self._findings.looked(log, looker.memory.audited_at)
        except DomainError as error:
            _log.warning("the monitor waits", store=log, reason=error.reason)
        except Exception:  # noqa: BLE001 - whatever somebody wrote into one log, the other is looked at, this one again
            _log.exception("the monitor cannot look at a log", store=log)
        else:
            await asyncio.to_thread(self._files.save, looker.memory)
            self._note(looker, len(found), whole=whole)
            return telling
        looker.memory = before
        LOOKS.labels(log=log, outcome="failed").inc()
        return None

    @staticmethod
    def _note(looker: Looker, count: int, *, whole: bool) -> None:
        """Says how a look has ended. One that could not read everything is not the silence that all is well."""
        log = looker.memory.log
        outcome = ("found" if count else "silent") if looker.complete else "partial"
        LOOKS.labels(log=log, outcome=outcome).inc()
        if whole and looker.complete:
            _log.info("the whole log was looked at", store=log, tree_size=looker.memory.tree.size, count=count)
        elif whole:
            _log.warning("the service did not answer: its files were not looked at", store=log, count=count)
