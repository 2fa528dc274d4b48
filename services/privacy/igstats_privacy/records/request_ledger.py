"""The request ledger as officers read it, and the numbers that the law asks for (11 CCR 7101, 7102)."""

from collections.abc import Sequence
from datetime import MAXYEAR, UTC, datetime

from igstats_kit.clock import Clock
from igstats_kit.sql import Database

from igstats_privacy.records import store
from igstats_privacy.records.rules import LedgerEntry, RightMetrics
from igstats_privacy.records.store import Place

_PAGE, _LONGEST_PAGE = 50, 500


class RequestLedger:
    """Reads the ledger. The database writes it with every change of a request."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(
        self, page_size: int, after: Place | None, start: datetime | None, end: datetime | None
    ) -> tuple[Sequence[LedgerEntry], Place | None, datetime]:
        """Entries, newest first; where the next page starts (None at the end); and the time of the answer."""
        limit = min(page_size or _PAGE, _LONGEST_PAGE)
        async with self._database.read() as connection:
            found = await store.page(connection, limit + 1, after=after, start=start, end=end)
        shown = found[:limit]
        more = Place(shown[-1].received_at, shown[-1].request_id) if len(found) > limit else None
        return shown, more, self._clock.now()

    async def metrics(self, year: int) -> Sequence[RightMetrics]:
        """The numbers of requests received in a calendar year (UTC)."""
        start, last = datetime(year, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        end = start.replace(year=year + 1) if year < MAXYEAR else last
        async with self._database.read() as connection:
            return await store.metrics(connection, start, end, self._clock.now())
