"""The end of a log's days: what has reached its age is dropped, a day at once, and the cut itself becomes evidence.

The tree keeps its shape. Hashes of 256 entries and more stay, so that every proof of a living entry can be made, and
proofs that people saved stay valid. The cut is announced in the evidence log before it happens: whoever finds entries
missing without an announcement has found something else.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger

from igstats_audit.errors import KeyDamagedError, TileMissingError
from igstats_audit.model import CUT_ID, LOG_CUT, CutPlan, CutStore, Log, LogStore, NewEntry
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer
from igstats_audit.telemetry import MINIMUM_INDEX
from igstats_audit.tile_path import TILE_WIDTH
from igstats_audit.tiles import Tiles

DAYS_AHEAD = 3
PRODUCER = "audit"
_HOUR = timedelta(hours=1)
_RETRY = timedelta(minutes=1)
# What passes, or what somebody must mend while both logs go on.
_TROUBLE = (DomainError, KeyDamagedError, TileMissingError, OSError)

_log = get_logger()


@dataclass(frozen=True, slots=True)
class Aging:
    """A log and how many days its entries live after the day of their appending."""

    store: LogStore
    tiles: Tiles
    proofs: Proofs
    days: int


class Cut:
    """Cuts both logs every day and makes room for the next days."""

    def __init__(self, logs: Mapping[Log, Aging], cuts: CutStore, evidence: Sequencer, clock: Clock) -> None:
        self._logs = logs
        self._cuts = cuts
        self._evidence = evidence
        self._clock = clock

    async def work(self) -> None:
        """Makes days and cuts at start, every hour and just after midnight UTC, until cancelled.

        What is in trouble waits, and the rest is done: a day that cannot be cut ends neither log.
        """
        while True:
            now = self._clock.now()
            cuts = [partial(self._cut, log, aging, now.date()) for log, aging in self._logs.items()]
            steps: list[Callable[[], Awaitable[object]]] = [self.make_days, *cuts, self.tidy]
            done = [await _done(step) for step in steps]
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
            rest = min(_HOUR, midnight - now + timedelta(seconds=1)) if all(done) else _RETRY
            await asyncio.sleep(rest.total_seconds())

    async def make_days(self) -> None:
        """Makes room for the entries of today and of the next days."""
        today = self._clock.now().date()
        for aging in self._logs.values():
            await aging.store.make_days([today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)])

    async def run(self, today: date) -> Sequence[CutPlan]:
        """Cuts what has reached its age on a day. Repeating it changes nothing.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        return [await self._cut(log, aging, today) for log, aging in self._logs.items()]

    async def tidy(self) -> None:
        """Removes what is cut from database, memory and disk; nobody is shown it any more anyway."""
        await self._cuts.drop()
        for aging in self._logs.values():
            await aging.tiles.prune((await aging.store.head()).minimum_index)

    async def _cut(self, log: Log, aging: Aging, today: date) -> CutPlan:
        plan = await self._plan(log, aging, today - timedelta(days=aging.days))
        if plan.end > plan.start:
            await self._announce(plan, aging.days)
        await self._cuts.cut(plan)
        aging.store.forget_days()  # also when another replica has made the cut
        MINIMUM_INDEX.labels(log=log).set(plan.end)
        return plan

    async def _plan(self, log: Log, aging: Aging, day: date) -> CutPlan:
        start = (await aging.store.head()).minimum_index
        end = await self._cuts.end(log, day)
        if end <= start:
            return CutPlan(log, day, start, start, b"")
        kept = await aging.store.leaves(end - end % TILE_WIDTH, end)
        if len(kept) != end % TILE_WIDTH:
            raise TileMissingError(f"leaves below {end}")
        return CutPlan(log, day, start, end, await aging.proofs.root(end), kept)

    async def _announce(self, plan: CutPlan, days: int) -> None:
        """The same cut always says the same, so that a repeated one is one entry."""
        said = {
            "log": plan.log,
            "from": plan.start,
            "to": plan.end,
            "root": plan.root.hex(),
            "policy": f"entries are kept for {days} days after the day of their appending",
        }
        payload = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        entry = NewEntry(f"{CUT_ID}{plan.log}/{plan.end}", LOG_CUT, "", PRODUCER, payload, self._clock.now())
        await self._evidence.append([entry])


async def _done(step: Callable[[], Awaitable[object]]) -> bool:
    try:
        await step()
    except _TROUBLE as error:
        _log.warning("cut waits: see the runbook on audit logs", exc_info=error)
        return False
    return True
