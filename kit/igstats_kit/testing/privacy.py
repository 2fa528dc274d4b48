"""Privacy as the doors of the gateway see it: opens requests, remembers them, shows them by status code."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.message import Message
from igstats.privacy.v1 import privacy_service_pb2 as privacy
from igstats.privacy.v1 import status_service_pb2 as status
from igstats.privacy.v1.request_pb2 import Request, RequestState

from igstats_kit.errors import DomainError, Reason
from igstats_kit.status import abort

_RECEIVED = datetime(2026, 7, 1, 12, tzinfo=UTC)
_DUE = timedelta(days=30)


@dataclass
class FakePrivacy:
    """PrivacyService.OpenRequest and StatusService. A test moves requests on by changing them in `requests`."""

    openings: list[privacy.OpenRequestRequest] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    """By status code."""
    justifications: list[status.Justification] = field(default_factory=list)
    proof_methods: list[str] = field(default_factory=list)
    received_at: datetime = _RECEIVED
    down: bool = False
    _keys: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)

    async def open(self, request: privacy.OpenRequestRequest, context: Any) -> privacy.OpenRequestResponse:  # noqa: ANN401 - gRPC's
        """Opens a request, or returns the one that this key opened before."""
        if self.down:
            await abort(context, DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql"))
        content = request.SerializeToString(deterministic=True)
        key = (request.door, request.idempotency_key)
        before, code = self._keys.get(key, (content, ""))
        if before != content:
            await abort(context, DomainError(Reason.IDEMPOTENCY_KEY_REUSED))
        if not code:
            code = f"{len(self.requests) + 1:052d}"
            self._keys[key] = (content, code)
            self.openings.append(request)
            self.requests[code] = self._received(request, code)
        return privacy.OpenRequestResponse(request=self.requests[code])

    def _received(self, request: privacy.OpenRequestRequest, code: str) -> Request:
        made = Request(
            request_id=f"req_{len(self.requests) + 1:026d}",
            reference="7K2Q-M4TD",
            right=request.right,
            state=RequestState.REQUEST_STATE_RECEIVED,
            door=request.door,
            regime=request.regime,
            identity_proof=request.identity_proof,
            status_code=code,
        )
        made.received_time.FromDatetime(self.received_at)
        made.due_time.FromDatetime(self.received_at + _DUE)
        return made

    async def show(self, request: status.GetStatusRequest, context: Any) -> status.GetStatusResponse:  # noqa: ANN401 - gRPC's
        """Shows a request."""
        found = await self._found(request.status_code, context)
        return status.GetStatusResponse(
            request=found,
            holders_done=1,
            holders_total=4,
            justifications=self.justifications,
            proof_methods=self.proof_methods,
        )

    async def withdraw(self, request: status.WithdrawByCodeRequest, context: Any) -> status.WithdrawByCodeResponse:  # noqa: ANN401 - gRPC's
        """Takes a request back that has not been accepted."""
        found = await self._found(request.status_code, context)
        if found.state >= RequestState.REQUEST_STATE_ACCEPTED:
            await abort(context, DomainError(Reason.TRANSITION_NOT_ALLOWED))
        found.state = RequestState.REQUEST_STATE_WITHDRAWN
        found.closed_time.FromDatetime(self.received_at)
        return status.WithdrawByCodeResponse(request=found)

    async def evidence(
        self,
        request: status.ReadEvidenceRequest,
        context: Any,  # noqa: ANN401 - gRPC's
    ) -> AsyncGenerator[status.ReadEvidenceResponse, None]:
        """Sends the evidence of a request that has closed."""
        found = await self._found(request.status_code, context)
        if not found.HasField("closed_time"):
            await abort(context, DomainError(Reason.EVIDENCE_NOT_READY, retry_after=1))
        for chunk in (b"PK", found.request_id.encode()):
            yield status.ReadEvidenceResponse(chunk=chunk)

    async def categories(self, _request: object, _context: object) -> status.DescribeCategoriesResponse:
        """One category."""
        made = status.DescribeCategoriesResponse(
            categories=[status.CategoryDescription(category="identifiers", keys=["user.contact.email"], sold=False)]
        )
        made.described_time.FromDatetime(self.received_at)
        return made

    async def _found(self, code: str, context: Any) -> Request:  # noqa: ANN401 - gRPC's
        if code not in self.requests:
            await abort(context, DomainError(Reason.STATUS_CODE_UNKNOWN))
        return self.requests[code]

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """For a gRPC server."""
        evidence: Any = self.evidence
        read = grpc.unary_stream_rpc_method_handler(evidence, status.ReadEvidenceRequest.FromString, _bytes)
        return (
            _service("PrivacyService", {"OpenRequest": _one(self.open, privacy.OpenRequestRequest)}),
            _service(
                "StatusService",
                {
                    "GetStatus": _one(self.show, status.GetStatusRequest),
                    "WithdrawByCode": _one(self.withdraw, status.WithdrawByCodeRequest),
                    "DescribeCategories": _one(self.categories, status.DescribeCategoriesRequest),
                    "ReadEvidence": read,
                },
            ),
        )


def _service(name: str, methods: dict[str, Any]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(f"igstats.privacy.v1.{name}", methods)


def _one(method: Any, request: type[Message]) -> Any:  # noqa: ANN401 - gRPC's handlers have no types
    return grpc.unary_unary_rpc_method_handler(method, request.FromString, _bytes)


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()
