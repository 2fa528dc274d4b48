"""The gateway's ContactService: where canaries are planted and looked for."""

from typing import TYPE_CHECKING, cast

import grpc
from igstats.gateway.v1.contact_service_pb2 import CountMatchesRequest, PlantCanaryRequest
from igstats.gateway.v1.contact_service_pb2_grpc import ContactServiceStub

from igstats_privacy import messages
from igstats_privacy.canaries.rules import NAME
from igstats_privacy.model import Identifier

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.gateway.v1.contact_service_pb2_grpc import ContactServiceAsyncStub


class GatewayCanaries:
    """Canaries on file at the gateway."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("ContactServiceAsyncStub", ContactServiceStub(channel))

    async def plant(self, address: str) -> str:
        """Makes the account with this contact, or finds the one that was made before; answers its id.

        Raises:
            DomainError: SUBJECT_ERASED, DEPENDENCY_UNAVAILABLE.
        """
        return (await self._stub.PlantCanary(PlantCanaryRequest(email=address))).account_id

    async def is_on_file(self, address: str) -> bool:
        """Whether a person of this address is known. Neither a fence nor a restriction hides one from it.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        who = messages.identifier(Identifier("EMAIL", address))
        asked = CountMatchesRequest(identifiers=[who], points={"contact_name": NAME})
        return (await self._stub.CountMatches(asked)).matched > 0
