"""Clients of other services: stats finds persons, audit gives evidence."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
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
from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason

from igstats_privacy import messages
from igstats_privacy.events import KEPT_DAYS
from igstats_privacy.model import Naming, Request
from igstats_privacy.triage import Resolution

if TYPE_CHECKING:  # the generated types name them, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub
    from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceAsyncStub


_INCOMPLETE = frozenset({Reason.ENTRY_NOT_FOUND, Reason.EVIDENCE_NOT_READY})
_RETRY_SECONDS = 1.0


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

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub = cast("AuditServiceAsyncStub", AuditServiceStub(channel))
        self._clock = clock

    async def of(self, request: Request) -> GetEvidenceResponse:
        """Entries of a request with their proofs.

        Raises:
            DomainError: EVIDENCE_NOT_READY, DEPENDENCY_UNAVAILABLE; for good EVIDENCE_LOST, ENTRY_CUT.
        """
        try:
            return await self._stub.GetEvidence(GetEvidenceRequest(request_id=request.request_id))
        except DomainError as error:
            raise missing(error, request, self._clock.now()) from error

    async def archive(self, request: Request, keys: Iterable[tuple[str, bytes]]) -> AsyncIterator[bytes]:
        """The same as a ZIP, in pieces, with the keys of the holders.

        Raises:
            DomainError: As `of`.
        """
        named = [HolderKey(holder=holder, public_key=key) for holder, key in keys]
        wanted = GetEvidenceArchiveRequest(request_id=request.request_id, holder_keys=named)
        try:
            async for piece in self._stub.GetEvidenceArchive(wanted):
                yield piece.chunk
        except DomainError as error:
            raise missing(error, request, self._clock.now()) from error


def missing(error: DomainError, request: Request, now: datetime) -> DomainError:
    """Why there is no evidence of a request, by what audit has of it and what we know.

    What audit lacks is on its way until the streams that bring it no longer keep it: then it cannot come by itself.
    """
    if error.reason not in _INCOMPLETE:
        return error
    if request.closed_at is not None and request.closed_at + timedelta(days=KEPT_DAYS) < now:
        return DomainError(Reason.EVIDENCE_LOST)
    return DomainError(Reason.EVIDENCE_NOT_READY, retry_after=_RETRY_SECONDS, request_id=request.request_id)
