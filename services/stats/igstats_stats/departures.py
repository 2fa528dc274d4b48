"""What is stored of owners who took the permission back at Instagram goes when the time that is left to them is over.

Until then they can come back and find it. Nobody is fenced: this is the end of a service, not the exercise of a right.
A restriction forbids this, too (GDPR 18), until it is lifted; so does a hold, which restricts what it keeps.
"""

from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.log import get_logger
from igstats_kit.worker import regularly

from igstats_stats.store.departures import DepartureStore

_BATCH = 100
_LOOK_SECONDS = 3600.0

_log = get_logger()


class Departures:
    """Removes profiles of those who left long enough ago; replicas share the work."""

    def __init__(self, store: DepartureStore, clock: Clock, *, stay: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._stay = stay

    async def run(self) -> None:
        """Looks every hour until cancelled."""
        await regularly(self._look, _LOOK_SECONDS, "departures wait")

    async def _look(self) -> None:
        while await self.run_once():
            pass

    async def run_once(self) -> int:
        """Removes a batch of profiles with all that belongs to them; how many."""
        now = self._clock.now()
        return await self._store.remove(now - self._stay, now, _BATCH)
