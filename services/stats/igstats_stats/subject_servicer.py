"""The internal API of stats: who is behind a profile. Called by privacy."""

from igstats.stats.v1.subject_service_pb2 import ResolveSubjectRequest, ResolveSubjectResponse
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceServicer
from igstats_kit.interceptors.chain import Context

from igstats_stats import messages
from igstats_stats.profiles import Profiles


class SubjectServicer(SubjectServiceServicer):
    """Completes identifiers of profile owners."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    async def ResolveSubject(  # noqa: N802 - gRPC name
        self, request: ResolveSubjectRequest, _context: Context
    ) -> ResolveSubjectResponse:
        """Completes what a request knows about a profile owner."""
        found = await self._profiles.resolve(messages.pairs(request.identifiers), request.account_id)
        completed = [messages.identifier(kind, value) for kind, value in found.identifiers]
        return ResolveSubjectResponse(identifiers=completed, connected=found.connected)
