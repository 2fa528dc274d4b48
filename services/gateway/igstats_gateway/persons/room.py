"""The wiring of this room."""

from igstats.gateway.v1.contact_service_pb2_grpc import add_ContactServiceServicer_to_server
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens

from igstats_gateway.accounts import Registration
from igstats_gateway.persons.planting import Canaries
from igstats_gateway.persons.servicer import ContactServicer
from igstats_gateway.persons.store import PersonStore


class PersonsRoom:
    """Persons on file, for privacy."""

    def __init__(self, database: Database, tokens: Tokens, registration: Registration) -> None:
        self._store = PersonStore(database, tokens)
        self._canaries = Canaries(self._store, registration)

    def attach(self, lifecycle: Lifecycle, rpc: RpcServer) -> None:
        """Serves the room; every contact is found by the hash of its address before the service is ready."""
        add_ContactServiceServicer_to_server(ContactServicer(self._store, self._canaries), rpc.server)
        lifecycle.on_ready(self._complete)

    async def _complete(self) -> None:
        await self._store.complete()
