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
from igstats_gateway.doors.iab.acknowledging import Acknowledger
from igstats_gateway.doors.iab.face import DeletionFace
from igstats_gateway.doors.ketch import status as ketch
from igstats_gateway.doors.ketch.face import KetchFace
from igstats_gateway.doors.opendsr.names import VERSIONS
from igstats_gateway.doors.opendsr.room import OpendsrRoom
from igstats_gateway.doors.outgoing import Outgoing
from igstats_gateway.doors.partners import Partner, Partners, by_id, read_partners
from igstats_gateway.doors.store import PartnerStore
from igstats_gateway.limits import AddressLimits, minute


class Machines:
    """Protocols that partners speak. Those without a partner are shut, as each protocol says."""

    def __init__(self, config: GatewayConfig, desk: Desk, database: Database, clock: Clock) -> None:
        partners, url = read_partners(config.partners), config.public_url
        self._clock, self._limits = clock, AddressLimits(minute(config.address_units), clock)
        self._groups = _told(partners)
        self._outgoing = Outgoing()
        store, words = PartnerStore(database), StatusWords(url)
        opendsr = OpendsrRoom(partners.opendsr, url) if partners.opendsr else None
        tells: dict[str, Tell] = {
            DRP: words.tell,
            ketch.DOOR: ketch.Words(url).tell,
            **(opendsr.tells() if opendsr else {}),
        }
        dealings = Dealings(desk, store, Sealer(read_secret(config.seal_key)), clock, tells)
        self._callbacks = Callbacks(store, dealings, tells, self._may_be_told, self._outgoing.send, clock)
        agents = Agents(partners.drp, store, clock)
        self._routes = [*DataRightsFace(agents, dealings, words, self._limits, clock).routes()]
        if opendsr:
            self._routes += opendsr.routes(dealings, self._limits, clock)
        self._routes += self._others(partners, url, dealings)

    def routes(self) -> Sequence[BaseRoute]:
        """The paths of all protocols."""
        return self._routes

    def attach(self, lifecycle: Lifecycle) -> None:
        """Adds the worker."""
        lifecycle.closing(self._outgoing.close)
        lifecycle.background("callbacks", self._callbacks.run)

    def _others(self, partners: Partners, url: str, dealings: Dealings) -> Sequence[BaseRoute]:
        found: list[BaseRoute] = []
        if partners.iab:
            acknowledger = Acknowledger(partners.iab, self._clock)
            found += DeletionFace(partners.iab, acknowledger, dealings, url, self._limits, self._clock).routes()
        if partners.ketch:
            found += KetchFace(partners.ketch, dealings, ketch.Words(url), self._limits).routes()
        return found

    def _may_be_told(self, door: str, partner_id: str, url: str) -> bool:
        partner = by_id(self._groups.get(door, ()), partner_id)
        return partner is not None and partner.may_be_told_at(url)


def _told(partners: Partners) -> dict[str, Sequence[Partner]]:
    """Who may be told, by door."""
    agents, controllers, _, tenants = partners.groups()
    return {DRP: agents, ketch.DOOR: tenants, **{names.door: controllers for names in VERSIONS}}
