"""The wiring of this room."""

from collections.abc import Sequence

from igstats_kit.client import Channels
from starlette.routing import BaseRoute

from igstats_gateway.config import GatewayConfig
from igstats_gateway.doors.desk import Desk


class DoorsRoom:
    """Everything that persons and other machines reach without an account's key."""

    def __init__(self, config: GatewayConfig, channels: Channels) -> None:
        self.desk = Desk(channels.to("privacy", config.privacy_address))

    def routes(self) -> Sequence[BaseRoute]:
        """The paths of all doors."""
        return []
