"""What is stored of owners who left goes when the time that is left to them is over.

They took the permission back at Instagram, or the last connection to their profile is gone: a customer has deleted it,
or is gone as well. Nobody could read such a profile, and no purpose would be left for it (GDPR 5(1)(e)).

Until then they can come back and find it. Nobody is fenced: this is the end of a service, not the exercise of a right.
A restriction forbids this, too (GDPR 18), until it is lifted; so does a hold, which restricts what it keeps.
"""

from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.log import get_logger
from igstats_kit.worker import regularly

from igstats_stats.store.departures import DepartureStore

_BATCH = 500
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
        while await self.note():
            pass
        while await self.run_once():
            pass

    async def note(self) -> int:
        """Starts the time of a batch of profiles that no customer is connected to any more; how many."""
        return await self._store.note(self._clock.now(), _BATCH)

    async def run_once(self) -> int:
        """Removes a batch of profiles with all that belongs to them; how many."""
        now = self._clock.now()
        return await self._store.remove(now - self._stay, now, _BATCH)
