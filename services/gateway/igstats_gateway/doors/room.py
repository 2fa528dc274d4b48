"""The wiring of this room."""

from collections.abc import Sequence

from igstats_kit.client import Channels
from igstats_kit.clock import Clock
from igstats_kit.config import read_secret
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.sql import Database
from starlette.routing import BaseRoute

from igstats_gateway.authentication import Authentication
from igstats_gateway.config import GatewayConfig
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.front import Front, Limits
from igstats_gateway.doors.identity import IdentityDesk
from igstats_gateway.doors.machines import Machines
from igstats_gateway.doors.meta import MetaDoor
from igstats_gateway.doors.profiles import Profiles
from igstats_gateway.doors.proof_pages import ProofPages
from igstats_gateway.doors.rendering import Contact, Pages
from igstats_gateway.doors.request_pages import RequestPages
from igstats_gateway.doors.sign_in import SignIns
from igstats_gateway.doors.signals import Signals
from igstats_gateway.doors.signed_request import apps
from igstats_gateway.doors.start_pages import StartPages
from igstats_gateway.limits import AddressLimits, minute


class DoorsRoom:
    """Everything that persons and other machines reach without an account's key."""

    def __init__(
        self,
        config: GatewayConfig,
        channels: Channels,
        authentication: Authentication,
        database: Database,
        clock: Clock,
    ) -> None:
        privacy = channels.to("privacy", config.privacy_address)
        self.desk = Desk(privacy)
        self.signals = Signals(self.desk.open)
        looks, sends = (minute(units) for units in (config.address_units, config.form_units))
        rendered = Pages(_contact(config))
        pages = Front(Limits(AddressLimits(looks, clock), AddressLimits(sends, clock)), rendered)
        machines = Front(Limits(AddressLimits(looks, clock), AddressLimits(looks, clock)), rendered)
        known = apps(read_secret(config.meta_apps).decode()) if config.meta_apps else ()
        profiles = Profiles(channels.to("stats", config.stats_address))
        sign_ins = SignIns(read_secret(config.key_pepper))
        self._machines = Machines(config, self.desk, database, clock)
        self._doors = (
            StartPages(pages, self.desk),
            RequestPages(pages, self.desk),
            ProofPages(pages, self.desk, IdentityDesk(privacy), authentication, sign_ins, clock),
            MetaDoor(machines, self.desk, profiles, known, config.public_url),
            self._machines,
        )

    def routes(self) -> Sequence[BaseRoute]:
        """The paths of all doors."""
        return [route for door in self._doors for route in door.routes()]

    async def close(self) -> None:
        """Lets opt-outs arrive that are on their way."""
        await self.signals.settle()

    def attach(self, lifecycle: Lifecycle) -> None:
        """Adds the workers."""
        self._machines.attach(lifecycle)


def _contact(config: GatewayConfig) -> Contact:
    return Contact(
        name=config.controller_name,
        email=config.controller_email,
        postal=config.controller_postal,
        officer=config.dpo_email,
        phone=config.dpo_phone,
    )
