"""Clients of other services: stats finds persons, audit gives evidence."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import grpc
from igstats.audit.v1.audit_service_pb2 import GetEvidenceRequest, GetEvidenceResponse
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from igstats.stats.v1.subject_service_pb2 import ResolveSubjectRequest
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceStub

from igstats_privacy import messages
from igstats_privacy.model import Identifier
from igstats_privacy.triage import Resolution

if TYPE_CHECKING:  # the generated types name them, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub
    from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceAsyncStub


class StatsProfiles:
    """Profiles, as stats knows them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("SubjectServiceAsyncStub", SubjectServiceStub(channel))

    async def resolve(self, identifiers: Sequence[Identifier], account_id: str) -> Resolution:
        """Completes identifiers of profiles.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        request = ResolveSubjectRequest(identifiers=map(messages.identifier, identifiers), account_id=account_id)
        answer = await self._stub.ResolveSubject(request)
        return Resolution(tuple(map(messages.read_identifier, answer.identifiers)), answer.connected)


class AuditEvidence:
    """Evidence, as audit has logged it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("AuditServiceAsyncStub", AuditServiceStub(channel))

    async def of(self, request_id: str) -> GetEvidenceResponse:
        """Entries of a request with their proofs.

        Raises:
            DomainError: EVIDENCE_NOT_READY, DEPENDENCY_UNAVAILABLE.
        """
        return await self._stub.GetEvidence(GetEvidenceRequest(request_id=request_id))
