"""The wiring of this room, and its workers."""

from datetime import timedelta

from igstats_kit.client import Channels
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.log import get_logger
from igstats_kit.worker import regularly

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
            lifecycle.background("canaries", lambda: regularly(self._look, _PAUSE_SECONDS, "canary waits"))

    async def _look(self) -> None:
        await self.planting.run_once(self._every)
        await self.show()

    async def show(self) -> None:
        """Sets the metrics from the database: every replica shows the same, whichever has run the canary."""
        async with self._core.database.read() as connection:
            last = await store.last(connection)
        if last is not None:
            result, ended_at = last
            CANARY_PROVED.set(result == Result.PROVED)
            CANARY_AGE.set((self._core.clock.now() - ended_at).total_seconds())
