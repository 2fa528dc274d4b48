"""What the doors ask of stats: end what an app of ours may do for a person at Instagram."""

from typing import TYPE_CHECKING, cast

import grpc
from igstats.stats.v1.subject_service_pb2 import EndConnectionsRequest
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceStub

from igstats_gateway.doors.messages import identifier
from igstats_gateway.doors.model import Identifier

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceAsyncStub


class Profiles:
    """The profiles that stats holds."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("SubjectServiceAsyncStub", SubjectServiceStub(channel))

    async def depart(self, person: Identifier) -> int:
        """Ends the connections of a person's profile and destroys their tokens; their number.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        return (await self._stub.EndConnections(EndConnectionsRequest(identifiers=[identifier(person)]))).ended_count
