"""Verification data goes when it has served: proofs of requests that have ended are deleted within a minute."""

from igstats_kit.clock import Clock
from igstats_kit.log import get_logger
from igstats_kit.sql import Database
from igstats_kit.worker import regularly

from igstats_privacy.proofs import store

_PAUSE_SECONDS = 60.0
_BATCH = 1000

_log = get_logger()


class Forgetting:
    """A worker; what remains of a proof is one line of words on the request."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Works until cancelled."""
        await regularly(self.run_once, _PAUSE_SECONDS, "proofs wait to be forgotten")

    async def run_once(self) -> int:
        """Deletes what has served; answers how many proofs."""
        gone = 0
        while True:
            async with self._database.statement() as connection:
                count = await store.forget(connection, _BATCH, self._clock.now())
            gone += count
            if count < _BATCH:
                return gone
