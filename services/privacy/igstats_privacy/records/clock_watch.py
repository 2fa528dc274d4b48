"""Watches the clocks: each share that one reaches is recorded and logged once; a missed one shows until it is met."""

from collections import Counter
from collections.abc import Collection, Sequence

from igstats_kit.clock import Clock as Time
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.worker import regularly

from igstats_privacy.records import store
from igstats_privacy.records.clock import MISSED, Alert, Clock, of_breach, of_request, urgent_first
from igstats_privacy.records.telemetry import CLOCK_ALERTS, CLOCKS_MISSED
from igstats_privacy.store import Connection

_PAUSE_SECONDS = 60.0
_MOST = 10_000
"""Alerts that are looked at together; the most urgent come first, so a crowd cannot hide them."""

_log = get_logger()


class ClockWatch:
    """Finds alerts, and a worker that tells of them."""

    def __init__(self, database: Database, time: Time) -> None:
        self._database = database
        self._time = time

    async def run(self) -> None:
        """Looks every minute until cancelled."""
        await regularly(self.run_once, _PAUSE_SECONDS, "clocks wait to be watched")

    async def alerts(self) -> Sequence[Alert]:
        """Every clock of which half is over and whose duty is open, the most urgent first."""
        async with self._database.read() as connection:
            return await self._found(connection)

    async def run_once(self) -> Collection[Alert]:
        """Records what was reached since the last look; answers it."""
        now = self._time.now()
        async with self._database.transaction() as connection:
            found = await self._found(connection)
            fresh = urgent_first(await store.tell(connection, found, now))
            for one in fresh:
                is_request = one.clock is not Clock.AUTHORITY
                payload = {"clock": one.clock, "percent": one.percent, "due": one.due_at.isoformat()}
                kind = "request.clock" if is_request else "breach.clock"
                about = one.about if is_request else ""
                payload |= {} if is_request else {"breach_id": one.about}
                await record(connection, "privacy", kind, payload, now=now, request_id=about)
        _tell(found, fresh)
        return fresh

    async def _found(self, connection: Connection) -> list[Alert]:
        now = self._time.now()
        entries = await store.halfway(connection, now, _MOST)
        breaches = await store.all_breaches(connection)
        of_requests = [alert for entry in entries for alert in of_request(entry, now)]
        return urgent_first([*of_requests, *(alert for breach in breaches for alert in of_breach(breach, now))])


def _tell(found: Sequence[Alert], fresh: Sequence[Alert]) -> None:
    for one in fresh:
        CLOCK_ALERTS.labels(clock=one.clock, percent=str(one.percent)).inc()
        about = {"breach_id" if one.clock is Clock.AUTHORITY else "request_id": one.about}
        if one.percent == MISSED:
            _log.error("clock missed", clock=one.clock, percent=one.percent, **about)
        else:
            _log.warning("clock runs out", clock=one.clock, percent=one.percent, **about)
    missed = Counter(one.clock for one in found if one.percent == MISSED)
    for clock in Clock:
        CLOCKS_MISSED.labels(clock=clock).set(missed[clock])
