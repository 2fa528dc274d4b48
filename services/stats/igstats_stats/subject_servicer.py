"""The internal API of stats: who is behind profiles, and what they allow no more. Called by privacy and the gateway."""

from igstats.stats.v1.subject_service_pb2 import (
    EndConnectionsRequest,
    EndConnectionsResponse,
    ResolveSubjectsRequest,
    ResolveSubjectsResponse,
)
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceServicer
from igstats_kit.interceptors.chain import Context

from igstats_stats import messages
from igstats_stats.connections import Connections
from igstats_stats.profiles import Profiles


class SubjectServicer(SubjectServiceServicer):
    """Completes identifiers of profile owners, and ends connections that they have left."""

    def __init__(self, profiles: Profiles, connections: Connections) -> None:
        self._profiles = profiles
        self._connections = connections

    async def ResolveSubjects(  # noqa: N802 - gRPC name
        self, request: ResolveSubjectsRequest, _context: Context
    ) -> ResolveSubjectsResponse:
        """Completes what requests know about profile owners."""
        queries = [(messages.pairs(query.identifiers), query.account_id) for query in request.queries]
        found = await self._profiles.resolve(queries)
        return ResolveSubjectsResponse(subjects=map(messages.subject, found))

    async def EndConnections(  # noqa: N802 - gRPC name
        self, request: EndConnectionsRequest, _context: Context
    ) -> EndConnectionsResponse:
        """Ends all connections to the profiles named."""
        return EndConnectionsResponse(ended_count=await self._connections.depart(messages.pairs(request.identifiers)))
