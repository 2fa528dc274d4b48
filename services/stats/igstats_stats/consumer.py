"""Takes SyncRequested: what was asked for becomes due, and this replica looks at once."""

from collections.abc import Sequence

from igstats_kit.clock import Clock
from igstats_kit.events import Bus, Consumer, Event
from igstats_kit.sql import Database

from igstats_stats.events import SYNC
from igstats_stats.store.connections import ConnectionStore
from igstats_stats.syncing import SyncWorker


class SyncRequests:
    """Handles the events of the durable consumer stats-sync."""

    def __init__(self, store: ConnectionStore, worker: SyncWorker, clock: Clock) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock

    def consumer(self, bus: Bus, database: Database) -> Consumer:
        """The worker that fetches the events."""
        return Consumer(bus, database, SYNC, self.handle)

    async def handle(self, events: Sequence[Event]) -> None:
        """Makes connections due; a repeated event, or one about a connection that is gone, changes nothing."""
        await self._store.take_requests(events, self._clock.now())
        self._worker.wake()
