"""The wiring of this room."""

from datetime import timedelta

import aiohttp
from igstats_kit.clock import Clock
from igstats_kit.config import read_secret
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens

from igstats_gateway.config import GatewayConfig
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.drop.broker import Broker
from igstats_gateway.doors.drop.platform import Platform
from igstats_gateway.doors.drop.rules import Rhythm
from igstats_gateway.doors.drop.store import DropStore

_SECONDS = aiohttp.ClientTimeout(total=600)


class DropRoom:
    """California's platform; without a key nobody works here."""

    def __init__(self, config: GatewayConfig, database: Database, tokens: Tokens, desk: Desk, clock: Clock) -> None:
        self._config = config
        self._database = database
        self._tokens = tokens
        self._desk = desk
        self._clock = clock

    def attach(self, lifecycle: Lifecycle) -> None:
        """Adds the worker."""
        if self._config.drop_api_key is not None:
            lifecycle.background("drop", self._work)

    async def _work(self) -> None:
        """One replica works; another takes over when its connection to the database ends."""
        config = self._config
        if config.drop_api_key is None:
            return
        store = DropStore(self._database, self._tokens, Sealer(read_secret(config.seal_key)))
        key = read_secret(config.drop_api_key).decode().strip()
        async with self._database.alone("drop"), aiohttp.ClientSession(timeout=_SECONDS) as session:
            platform = Platform(session, config.drop_url, key)
            rhythm = Rhythm(timedelta(days=config.drop_pull_days), config.drop_look_seconds, config.drop_closed)
            await Broker(store, platform, self._desk, self._clock, rhythm).run()
