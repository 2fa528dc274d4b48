"""The gateway's ContactService: facts on file about customers and their contacts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import grpc
from igstats.gateway.v1.contact_service_pb2 import CountMatchesRequest
from igstats.gateway.v1.contact_service_pb2_grpc import ContactServiceStub

from igstats_privacy import messages
from igstats_privacy.model import Identifier

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.gateway.v1.contact_service_pb2_grpc import ContactServiceAsyncStub


class GatewayContacts:
    """Persons on file."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("ContactServiceAsyncStub", ContactServiceStub(channel))

    async def count_matches(self, identifier: Identifier, points: Mapping[str, str]) -> int:
        """How many of the facts match the one person whom the identifier names.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        asked = CountMatchesRequest(identifiers=[messages.identifier(identifier)], points=points)
        return (await self._stub.CountMatches(asked)).matched
