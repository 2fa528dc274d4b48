"""Privacy as the doors of the gateway see it: opens requests, remembers them, shows them by status code."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.message import Message
from igstats.privacy.v1 import identity_service_pb2 as identity
from igstats.privacy.v1 import privacy_service_pb2 as privacy
from igstats.privacy.v1 import status_service_pb2 as status
from igstats.privacy.v1.request_pb2 import Request, RequestState

from igstats_kit.errors import DomainError, Reason
from igstats_kit.status import abort

_RECEIVED = datetime(2026, 7, 1, 12, tzinfo=UTC)
_DUE = timedelta(days=30)


@dataclass
class FakePrivacy:
    """OpenRequest, StatusService and IdentityService. A test moves requests on by changing them in `requests`."""

    openings: list[privacy.OpenRequestRequest] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    """By status code."""
    justifications: list[status.Justification] = field(default_factory=list)
    proof_methods: list[str] = field(default_factory=list)
    package_methods: list[str] = field(default_factory=list)
    letters: bool = True
    link_secret: str = ""
    received_at: datetime = _RECEIVED
    down: bool = False
    code: str = "123456"
    """What the letter says."""
    asked: list[Any] = field(default_factory=list)
    """What IdentityService was asked."""
    signals: list[str] = field(default_factory=list)
    """The sec-gpc field of each call, "" for none."""
    accounts: list[str] = field(default_factory=list)
    """Accounts that proved something."""
    links: list[str] = field(default_factory=list)
    """Links of packages that were not used up."""
    _opened: asyncio.Event = field(default_factory=asyncio.Event)
    _refused: asyncio.Event = field(default_factory=asyncio.Event)
    _keys: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)

    async def open(self, request: privacy.OpenRequestRequest, context: Any) -> privacy.OpenRequestResponse:  # noqa: ANN401 - gRPC's
        """Opens a request, or returns the one that this key opened before."""
        self._note(context)
        if self.down:
            self._refused.set()
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
            self._opened.set()
            self.requests[code] = self._received(request, code)
        return privacy.OpenRequestResponse(request=self.requests[code])

    async def until_opened(self, count: int) -> list[privacy.OpenRequestRequest]:
        """The openings, once there are so many."""
        while len(self.openings) < count:
            self._opened.clear()
            await self._opened.wait()
        return self.openings

    async def until_refused(self) -> None:
        """Returns once an opening was refused because we are down."""
        await self._refused.wait()

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
        self._note(context)
        found = await self._found(request.status_code, context)
        return status.GetStatusResponse(
            request=found,
            holders_done=1,
            holders_total=4,
            justifications=self.justifications,
            proof_methods=self.proof_methods,
            package_methods=self.package_methods,
            letters=self.letters,
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

    async def package(
        self,
        request: status.ReadPackageRequest,
        context: Any,  # noqa: ANN401 - gRPC's
    ) -> AsyncGenerator[status.ReadPackageResponse, None]:
        """Sends the package of a link, once."""
        link = f"{request.status_code}.{request.link_secret}"
        if link not in self.links:
            await abort(context, DomainError(Reason.PACKAGE_LINK_INVALID))
        for chunk in (b"PK", b"data"):
            yield status.ReadPackageResponse(chunk=chunk)
        self.links.remove(link)

    async def categories(self, _request: object, _context: object) -> status.DescribeCategoriesResponse:
        """One category."""
        made = status.DescribeCategoriesResponse(
            categories=[status.CategoryDescription(category="identifiers", keys=["user.contact.email"], sold=False)]
        )
        made.described_time.FromDatetime(self.received_at)
        return made

    async def send_code(self, request: identity.SendCodeRequest, context: Any) -> identity.SendCodeResponse:  # noqa: ANN401 - gRPC's
        """Notes that a code is wanted."""
        await self._found(request.status_code, context)
        self.asked.append(request)
        return identity.SendCodeResponse()

    async def submit_code(self, request: identity.SubmitCodeRequest, context: Any) -> identity.SubmitCodeResponse:  # noqa: ANN401 - gRPC's
        """Takes the code that the letter says."""
        found = await self._found(request.status_code, context)
        if request.code != self.code:
            await abort(context, DomainError(Reason.PROOF_CODE_INVALID, tries_left="2"))
        return identity.SubmitCodeResponse(request=self._proved(found, "mail code"))

    async def match_points(self, request: identity.MatchPointsRequest, context: Any) -> identity.MatchPointsResponse:  # noqa: ANN401 - gRPC's
        """Never says what matched."""
        found = await self._found(request.status_code, context)
        self.asked.append(request)
        return identity.MatchPointsResponse(request=found)

    async def start_login(self, request: identity.StartLoginRequest, context: Any) -> identity.StartLoginResponse:  # noqa: ANN401 - gRPC's
        """Sends the person to Instagram."""
        await self._found(request.status_code, context)
        return identity.StartLoginResponse(authorize_url=f"https://instagram.test/?a=1&state={request.status_code}")

    async def finish_login(self, request: identity.FinishLoginRequest, context: Any) -> identity.FinishLoginResponse:  # noqa: ANN401 - gRPC's
        """The state is the status code; it works once."""
        if request.state not in self.requests or request in self.asked:
            await abort(context, DomainError(Reason.LOGIN_STATE_INVALID))
        self.asked.append(request)
        found = self._proved(self.requests[request.state], "Instagram Login")
        return identity.FinishLoginResponse(request=found, link_secret=self.link_secret)

    async def prove_account(self, request: identity.ProveAccountRequest, context: Any) -> identity.ProveAccountResponse:  # noqa: ANN401 - gRPC's
        """Takes the word of the gateway."""
        found = await self._found(request.status_code, context)
        self.accounts.append(_sent(context, "x-igstats-account-id"))
        return identity.ProveAccountResponse(request=self._proved(found, "account"))

    @staticmethod
    def _proved(found: Request, how: str) -> Request:
        found.state, found.identity_proof = RequestState.REQUEST_STATE_TRIAGE, how
        return found

    def _note(self, context: Any) -> None:  # noqa: ANN401 - gRPC's
        self.signals.append(_sent(context, "sec-gpc"))

    async def _found(self, code: str, context: Any) -> Request:  # noqa: ANN401 - gRPC's
        if code not in self.requests:
            await abort(context, DomainError(Reason.STATUS_CODE_UNKNOWN))
        return self.requests[code]

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """For a gRPC server."""
        evidence: Any = self.evidence
        package: Any = self.package
        read = grpc.unary_stream_rpc_method_handler(evidence, status.ReadEvidenceRequest.FromString, serialized)
        fetch = grpc.unary_stream_rpc_method_handler(package, status.ReadPackageRequest.FromString, serialized)
        return (
            _service("PrivacyService", {"OpenRequest": unary(self.open, privacy.OpenRequestRequest)}),
            _service(
                "IdentityService",
                {
                    "SendCode": unary(self.send_code, identity.SendCodeRequest),
                    "SubmitCode": unary(self.submit_code, identity.SubmitCodeRequest),
                    "MatchPoints": unary(self.match_points, identity.MatchPointsRequest),
                    "StartLogin": unary(self.start_login, identity.StartLoginRequest),
                    "FinishLogin": unary(self.finish_login, identity.FinishLoginRequest),
                    "ProveAccount": unary(self.prove_account, identity.ProveAccountRequest),
                },
            ),
            _service(
                "StatusService",
                {
                    "GetStatus": unary(self.show, status.GetStatusRequest),
                    "WithdrawByCode": unary(self.withdraw, status.WithdrawByCodeRequest),
                    "DescribeCategories": unary(self.categories, status.DescribeCategoriesRequest),
                    "ReadEvidence": read,
                    "ReadPackage": fetch,
                },
            ),
        )


def _sent(context: Any, name: str) -> str:  # noqa: ANN401 - gRPC's
    return str(dict(context.invocation_metadata() or ()).get(name, ""))


def _service(name: str, methods: dict[str, Any]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(f"igstats.privacy.v1.{name}", methods)


def unary(method: Any, request: type[Message]) -> Any:  # noqa: ANN401 - gRPC's handlers have no types
    """A handler of one request and one answer."""
    return grpc.unary_unary_rpc_method_handler(method, request.FromString, serialized)


def serialized(message: Message) -> bytes:
    """A message on the wire."""
    return message.SerializeToString()
