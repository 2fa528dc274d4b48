"""What becomes of an observation: kept once, and told once by metric, log line and an entry of the evidence log.

What was told is what the monitor remembers, not what stands in a table that whoever changes the log may write, too.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from ulid import ULID

from igstats_audit.model import Log
from igstats_audit.monitor.memory import Memory, Told
from igstats_audit.monitor.model import Finding, FindingKind, FindingPage, FindingStore, Observation
from igstats_audit.telemetry import FINDINGS_LEFT, FINDINGS_RAISED

PAGE_DEFAULT = 50
PAGE_LIMIT = 500
MOST_AT_ONCE = 1_000
MOST_OPEN = 10_000
_MANY = frozenset({FindingKind.TILE_CHANGED, FindingKind.LEAF_CHANGED, FindingKind.PAYLOAD_CHANGED})
_TOKEN = re.compile(r"fnd_[0-9a-z]{26}")

_log = get_logger()


class Telling(NamedTuple):
    """How many findings were told, and how many were left out."""

    new: int
    left: int

    @property
    def goes_on(self) -> bool:
        """Whether another look tells more."""
        return self.new > 0 < self.left


class Findings:
    """The list of findings."""

    def __init__(self, store: FindingStore) -> None:
        self._store = store

    async def tell(self, observations: Collection[Observation], memory: Memory, now: datetime) -> Telling:
        """Keeps what was seen and tells what is new; of a great many forks first, and then what there are few of.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the next look sees them again.
        """
        distinct = list(dict.fromkeys(observations))
        unknown = sorted((one for one in distinct if one.thing not in memory.told), key=_rank)
        chosen = unknown[: _room(unknown, memory)]
        told = memory.told | {one.thing: Told(f"fnd_{ULID()}".lower(), now) for one in chosen}
        seen = {
            one.thing: Finding(told[one.thing].finding_id, one, told[one.thing].found_at, now)
            for one in distinct
            if one.thing in told
        }
        await self._store.save(seen.values(), [seen[one.thing] for one in chosen])
        memory.told = told
        for one in chosen:
            FINDINGS_RAISED.labels(log=one.log, kind=one.kind).inc()
            _log.error("finding raised: see the runbook", store=one.log, reason=one.kind, record=one.place)
        return self._counted(Telling(len(chosen), len(unknown) - len(chosen)), memory.log)

    @staticmethod
    def _counted(telling: Telling, log: Log) -> Telling:
        """Says how many are not told."""
        FINDINGS_LEFT.labels(log=log).set(telling.left)
        if telling.left:
            _log.error("more is wrong with the log than is told", store=log, count=telling.left)
        return telling

    async def looked(self, log: Log, now: datetime) -> None:
        """Notes that all of a log was looked at.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        await self._store.looked(log, now)

    async def lost(self, memory: Memory) -> list[Observation]:
        """An empty memory of a log that was looked at before.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        before = await self._store.looked_at(memory.log) if memory.empty else None
        if before is None:
            return []
        words = f"the log was looked at on {before:%F %T} UTC, and nothing of that is remembered"
        return [Observation(memory.log, FindingKind.MEMORY_LOST, "memory", words)]

    async def page(self, page_size: int, page_token: str) -> FindingPage:
        """Findings, newest first.

        Raises:
            DomainError: PAGE_TOKEN_INVALID.
        """
        if page_token and not _TOKEN.fullmatch(page_token):
            raise DomainError(Reason.PAGE_TOKEN_INVALID)
        size = min(page_size or PAGE_DEFAULT, PAGE_LIMIT)
        found = await self._store.page(page_token, size + 1)
        return FindingPage(found[:size], found[size - 1].finding_id if len(found) > size else "")


def _rank(one: Observation) -> tuple[bool, bool]:
    return one.kind is not FindingKind.FORK, one.kind in _MANY


def _room(unknown: Sequence[Observation], memory: Memory) -> int:
    """How many of them are told: every fork, and of the others not more than somebody can look at."""
    forks = sum(one.kind is FindingKind.FORK for one in unknown)
    return max(forks, min(MOST_AT_ONCE, MOST_OPEN - len(memory.told)))
