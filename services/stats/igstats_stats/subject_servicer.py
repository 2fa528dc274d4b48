"""The internal API of stats: who is behind profiles. Called by privacy."""

from igstats.stats.v1.subject_service_pb2 import ResolveSubjectsRequest, ResolveSubjectsResponse
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceServicer
from igstats_kit.interceptors.chain import Context

from igstats_stats import messages
from igstats_stats.profiles import Profiles


class SubjectServicer(SubjectServiceServicer):
    """Completes identifiers of profile owners."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    async def ResolveSubjects(  # noqa: N802 - gRPC name
        self, request: ResolveSubjectsRequest, _context: Context
    ) -> ResolveSubjectsResponse:
        """Completes what requests know about profile owners."""
        queries = [(messages.pairs(query.identifiers), query.account_id) for query in request.queries]
        found = await self._profiles.resolve(queries)
        return ResolveSubjectsResponse(subjects=map(messages.subject, found))
