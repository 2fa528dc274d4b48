"""ContactService: what privacy may know of the persons at our customers, proto in, proto out."""

from collections.abc import Iterable

from igstats.gateway.v1 import contact_service_pb2 as pb
from igstats.gateway.v1.contact_service_pb2_grpc import ContactServiceServicer
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats_kit.interceptors.chain import Context
from typing_extensions import override

from igstats_gateway.persons import rules
from igstats_gateway.persons.planting import Canaries
from igstats_gateway.persons.store import PersonStore

_MOST = 10_000  # contacts in one answer; more than any account has


class ContactServicer(ContactServiceServicer):
    """Serves privacy."""

    def __init__(self, store: PersonStore, canaries: Canaries) -> None:
        self._store = store
        self._canaries = canaries

    @override
    async def ListAddresses(self, request: pb.ListAddressesRequest, context: Context) -> pb.ListAddressesResponse:
        """Mail addresses of those whose data may be used."""
        found = await self._store.find_unrestricted(self._store.tokens(_names(request.identifiers)), _MOST)
        addresses = [
            pb.Address(account_id=person.account_id, contact_id=person.contact_id, email=person.email)
            for person in found
            if person.email
        ]
        return pb.ListAddressesResponse(addresses=addresses)

    @override
    async def CountMatches(self, request: pb.CountMatchesRequest, context: Context) -> pb.CountMatchesResponse:
        """How many facts fit. A restriction does not stand in the way: proving who one is serves one's own rights."""
        named = self._store.tokens(_names(request.identifiers))
        found = await self._store.find(named, _MOST)
        return pb.CountMatchesResponse(matched=rules.matched(request.points, named, found))

    @override
    async def PlantCanary(self, request: pb.PlantCanaryRequest, context: Context) -> pb.PlantCanaryResponse:
        """Puts a person who does not exist on file."""
        return pb.PlantCanaryResponse(account_id=await self._canaries.plant(request.email))


def _names(identifiers: Iterable[Identifier]) -> frozenset[tuple[str, str]]:
    return frozenset((IdentifierKind.Name(one.kind).removeprefix("IDENTIFIER_KIND_"), one.value) for one in identifiers)
