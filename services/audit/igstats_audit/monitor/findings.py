"""What becomes of an observation: kept once, and told once by metric, log line and an entry of the evidence log."""

import re
from collections.abc import Collection
from datetime import datetime

from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger

from igstats_audit.model import Log
from igstats_audit.monitor.model import FindingPage, FindingStore, Observation
from igstats_audit.telemetry import FINDINGS_RAISED

PAGE_DEFAULT = 50
PAGE_LIMIT = 500
MOST_AT_ONCE = 1_000
_TOKEN = re.compile(r"fnd_[0-9a-z]{26}")

_log = get_logger()


class Findings:
    """The list of findings."""

    def __init__(self, store: FindingStore) -> None:
        self._store = store

    async def tell(self, observations: Collection[Observation], now: datetime) -> int:
        """Keeps what was seen and tells what is new; of a great many the first thousand. Answers how many are new.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the next look sees them again.
        """
        if len(observations) > MOST_AT_ONCE:
            _log.error("more is wrong with the logs than is told", count=len(observations))
        new = await self._store.save(list(observations)[:MOST_AT_ONCE], now)
        for finding in new:
            seen = finding.observation
            FINDINGS_RAISED.labels(log=seen.log, kind=seen.kind).inc()
            _log.error("finding raised: see the runbook", store=seen.log, reason=seen.kind, record=seen.place)
        return len(new)

    async def looked(self, log: Log, now: datetime) -> None:
        """Notes that all of a log was looked at.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        await self._store.looked(log, now)

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
