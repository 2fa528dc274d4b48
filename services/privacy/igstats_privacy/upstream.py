"""Clients of other services: stats finds persons, audit gives evidence."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, cast

import grpc
from igstats.audit.v1.audit_service_pb2 import (
    GetEvidenceArchiveRequest,
    GetEvidenceRequest,
    GetEvidenceResponse,
    HolderKey,
)
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from igstats.stats.v1.subject_service_pb2 import ResolveSubjectsRequest, SubjectQuery
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceStub

from igstats_privacy import messages
from igstats_privacy.model import Naming
from igstats_privacy.triage import Resolution

if TYPE_CHECKING:  # the generated types name them, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub
    from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceAsyncStub


class StatsProfiles:
    """Profiles, as stats knows them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("SubjectServiceAsyncStub", SubjectServiceStub(channel))

    async def resolve(self, namings: Sequence[Naming]) -> list[Resolution]:
        """Completes identifiers of profiles, one resolution for each naming.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        queries = [
            SubjectQuery(identifiers=map(messages.identifier, one.identifiers), account_id=one.account_id)
            for one in namings
        ]
        answer = await self._stub.ResolveSubjects(ResolveSubjectsRequest(queries=queries))
        return [
            Resolution(tuple(map(messages.read_identifier, one.identifiers)), one.connected, tuple(one.account_ids))
            for one in answer.subjects
        ]


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

    async def archive(self, request_id: str, keys: Iterable[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        """The same as a ZIP, in pieces, with the keys of the holders.

        Raises:
            DomainError: EVIDENCE_NOT_READY, DEPENDENCY_UNAVAILABLE.
        """
        named = [HolderKey(holder=holder, public_key=key) for holder, key in keys]
        wanted = GetEvidenceArchiveRequest(request_id=request_id, holder_keys=named)
        async for piece in self._stub.GetEvidenceArchive(wanted):
            yield piece.chunk
