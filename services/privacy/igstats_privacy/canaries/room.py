"""The wiring of this room, and its workers."""

import asyncio
from datetime import timedelta

from igstats_kit.client import Channels
from igstats_kit.errors import DomainError
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.log import get_logger

from igstats_privacy.canaries import store
from igstats_privacy.canaries.gateway import GatewayCanaries
from igstats_privacy.canaries.planting import Planting
from igstats_privacy.canaries.rules import Result
from igstats_privacy.canaries.telemetry import CANARY_AGE, CANARY_PROVED
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.core import Core

_PAUSE_SECONDS = 10.0

_log = get_logger()


class CanariesRoom:
    """Planted canaries; without an interval nobody works here."""

    def __init__(self, config: PrivacyConfig, core: Core, channels: Channels) -> None:
        self._core = core
        self._every = timedelta(hours=config.canary_hours)
        gateway = GatewayCanaries(channels.to("gateway", config.gateway_address))
        self.planting = Planting(core.database, core.requests, core.registry, gateway, core.sealer, core.clock)

    def attach(self, lifecycle: Lifecycle) -> None:
        """Adds the worker."""
        if self._every:
            lifecycle.background("canaries", self._work)

    async def _work(self) -> None:
        while True:
            try:
                await self.planting.run_once(self._every)
                await self.show()
            except DomainError as error:
                _log.warning("canary waits", reason=error.reason)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def show(self) -> None:
        """Sets the metrics from the database: every replica shows the same, whichever has run the canary."""
        async with self._core.database.read() as connection:
            last = await store.last(connection)
        if last is not None:
            result, ended_at = last
            CANARY_PROVED.set(result == Result.PROVED)
            CANARY_AGE.set((self._core.clock.now() - ended_at).total_seconds())
