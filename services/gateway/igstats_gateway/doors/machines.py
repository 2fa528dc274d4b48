"""The wiring of the doors for other machines."""

from collections.abc import Sequence

from igstats_kit.clock import Clock
from igstats_kit.config import read_secret
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from starlette.routing import BaseRoute

from igstats_gateway.config import GatewayConfig
from igstats_gateway.doors.callbacks import Callbacks
from igstats_gateway.doors.dealing import Tell
from igstats_gateway.doors.dealings import Dealings
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.drp.agents import Agents
from igstats_gateway.doors.drp.exercise import DOOR as DRP
from igstats_gateway.doors.drp.face import DataRightsFace
from igstats_gateway.doors.drp.status import StatusWords
from igstats_gateway.doors.outgoing import Outgoing
from igstats_gateway.doors.partners import Partner, by_id, read_partners
from igstats_gateway.doors.store import PartnerStore
from igstats_gateway.limits import AddressLimits, minute


class Machines:
    """Protocols that partners speak. Those without a partner are shut, as each protocol says."""

    def __init__(self, config: GatewayConfig, desk: Desk, database: Database, clock: Clock) -> None:
        partners = read_partners(config.partners)
        limits = AddressLimits(minute(config.address_units), clock)
        store = PartnerStore(database)
        words = StatusWords(config.public_url)
        tells: dict[str, Tell] = {DRP: words.tell}
        dealings = Dealings(desk, store, Sealer(read_secret(config.seal_key)), clock, tells)
        self._groups: dict[str, Sequence[Partner]] = {DRP: partners.drp.agents if partners.drp else ()}
        self._outgoing = Outgoing()
        self._callbacks = Callbacks(store, dealings, tells, self._may_be_told, self._outgoing.send, clock)
        agents = Agents(partners.drp, store, clock)
        self._faces = [DataRightsFace(agents, dealings, words, limits, clock)]

    def routes(self) -> Sequence[BaseRoute]:
        """The paths of all protocols."""
        return [route for face in self._faces for route in face.routes()]

    def attach(self, lifecycle: Lifecycle) -> None:
        """Adds the worker."""
        lifecycle.closing(self._outgoing.close)
        lifecycle.background("callbacks", self._callbacks.run)

    def _may_be_told(self, door: str, partner_id: str, url: str) -> bool:
        partner = by_id(self._groups.get(door, ()), partner_id)
        return partner is not None and partner.may_be_told_at(url)
