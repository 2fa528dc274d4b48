"""A whole gateway: its real wiring, ports and database, between a client and stand-ins of the other services."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import grpc
import pytest
import pytest_asyncio
from igstats.api.v1.profile_pb2 import Count, Profile
from igstats.api.v1.request_service_pb2 import (
    CreateRequestRequest,
    CreateRequestResponse,
    GetEvidenceArchiveRequest,
    GetEvidenceArchiveResponse,
    PrivacyRequest,
    WatchRequestRequest,
    WatchRequestResponse,
)
from igstats.api.v1.stats_service_pb2 import GetProfileRequest, GetProfileResponse
from igstats.audit.v1.audit_service_pb2 import (
    Call,
    ExportCallsRequest,
    ExportCallsResponse,
    GetLogFileRequest,
    GetLogFileResponse,
    Log,
    SearchCallsRequest,
    SearchCallsResponse,
)
from igstats.holder.v1.holder_tasks_service_pb2 import (
    ListErasuresRequest,
    ListErasuresResponse,
    RegisterHolderRequest,
    RegisterHolderResponse,
)
from igstats.stats.v1.subject_service_pb2 import EndConnectionsRequest, EndConnectionsResponse
from igstats_gateway.accounts import NewAccount, Registration
from igstats_gateway.app import serve
from igstats_gateway.commands import Arguments, scopes
from igstats_gateway.config import GatewayConfig
from igstats_gateway.keys import Pepper
from igstats_gateway.model import Contact
from igstats_gateway.store import Store
from igstats_kit.clock import SystemClock
from igstats_kit.config import ServiceConfig, read_secret
from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database
from igstats_kit.status import abort
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.partner import Partner
from igstats_kit.testing.partner import partner as serving_partner
from igstats_kit.testing.privacy import FakePrivacy as Doorkeeper
from igstats_kit.testing.privacy import serialized as _bytes
from igstats_kit.testing.privacy import unary as _one
from igstats_kit.testing.processes import accepting, free_port
from igstats_kit.tokens import Tokens

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass
class Others:
    """What the stand-ins were sent, and what they wait for."""

    addresses: dict[str, str] = field(default_factory=dict)
    servers: dict[str, grpc.aio.Server] = field(default_factory=dict)
    metadata: list[dict[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    doorkeeper: Doorkeeper = field(default_factory=Doorkeeper)
    departed: list[str] = field(default_factory=list)
    refusals: list[DomainError] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, request: object, context: Context) -> None:
        self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata() or ()})
        self.seconds.append(context.time_remaining())
        self.requests.append(request)
        self.reached.set()


class FakeStats:
    """StatsService."""

    def __init__(self, others: Others) -> None:
        self._others = others

    async def get_profile(self, request: GetProfileRequest, context: Context) -> GetProfileResponse:
        self._others.note(request, context)
        if request.profile == "ghost":
            await abort(context, DomainError(Reason.PROFILE_NOT_FOUND, hint="look"))
        if request.profile == "crash":
            await context.abort(grpc.StatusCode.UNKNOWN, "a text from inside")
        if request.profile == "slow":
            await self._others.go_on.wait()
        context.set_trailing_metadata((("x-served-by", "stats-1"),))
        return GetProfileResponse(profile=Profile(profile_id=7, username=request.profile, followers=Count(value=1234)))

    def handler(self) -> grpc.GenericRpcHandler:
        return _service("igstats.api.v1.StatsService", GetProfile=_one(self.get_profile, GetProfileRequest))


class FakePrivacy:
    """RequestService, and HolderTasksService as far as a start needs it."""

    def __init__(self, others: Others) -> None:
        self._others = others

    async def create_request(self, request: CreateRequestRequest, context: Context) -> CreateRequestResponse:
        self._others.note(request, context)
        if request.subject.username == "slow":
            await self._others.go_on.wait()
        if self._others.refusals:
            await abort(context, self._others.refusals.pop())
        if request.subject.username == "nobody":
            await abort(context, DomainError(Reason.SUBJECT_UNIDENTIFIED))
        return CreateRequestResponse(request=PrivacyRequest(request_id=f"req_{len(self._others.requests)}"))

    async def watch_request(
        self, request: WatchRequestRequest, context: Context
    ) -> AsyncGenerator[WatchRequestResponse, None]:
        self._others.note(request, context)
        if request.request_id == "none":
            await abort(context, DomainError(Reason.REQUEST_NOT_FOUND))
        try:
            for state in ("RECEIVED", "ACCEPTED"):
                yield WatchRequestResponse(request=PrivacyRequest(request_id=request.request_id, state=state))
            if request.request_id == "open":
                await self._others.go_on.wait()
            if request.request_id == "broken":
                await abort(context, DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="nats"))
        finally:
            self._others.left.set()

    async def get_evidence_archive(
        self, request: GetEvidenceArchiveRequest, context: Context
    ) -> AsyncGenerator[GetEvidenceArchiveResponse, None]:
        self._others.note(request, context)
        if request.request_id == "open":
            await abort(context, DomainError(Reason.EVIDENCE_NOT_READY, retry_after=1))
        for chunk in (b"PK", b"\x00\xff" * 100_000):
            yield GetEvidenceArchiveResponse(chunk=chunk)
        if request.request_id == "broken":
            await abort(context, DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="audit"))

    def handler(self) -> grpc.GenericRpcHandler:
        watch: Any = self.watch_request
        archive: Any = self.get_evidence_archive
        return _service(
            "igstats.api.v1.RequestService",
            CreateRequest=_one(self.create_request, CreateRequestRequest),
            WatchRequest=grpc.unary_stream_rpc_method_handler(watch, WatchRequestRequest.FromString, _bytes),
            GetEvidenceArchive=grpc.unary_stream_rpc_method_handler(
                archive, GetEvidenceArchiveRequest.FromString, _bytes
            ),
        )


def _departing(seen: Others) -> Any:
    """SubjectService.EndConnections: each person has two connections, which end once."""

    async def end(request: EndConnectionsRequest, context: Context) -> EndConnectionsResponse:
        seen.note(request, context)
        fresh = [one.value for one in request.identifiers if one.value not in seen.departed]
        seen.departed += fresh
        return EndConnectionsResponse(ended_count=2 * len(fresh))

    return end


async def _registered(_request: object, _context: Context) -> RegisterHolderResponse:
    return RegisterHolderResponse()


async def _no_erasures(_request: object, _context: Context) -> ListErasuresResponse:
    return ListErasuresResponse()


class FakeAudit:
    """AuditService as far as the gateway uses it."""

    def __init__(self, others: Others) -> None:
        self._others = others

    async def search_calls(self, request: SearchCallsRequest, context: Context) -> SearchCallsResponse:
        self._others.note(request, context)
        call = Call(call_id="req_1", account_id=request.account_id, ip_address="192.0.2.1", latency_us=7)
        return SearchCallsResponse(calls=[call], next_page_token="more")

    async def export_calls(
        self, request: ExportCallsRequest, context: Context
    ) -> AsyncGenerator[ExportCallsResponse, None]:
        self._others.note(request, context)
        if request.status == 9:
            await abort(context, DomainError(Reason.SUBJECT_RESTRICTED))
        yield ExportCallsResponse(lines=b'{"callId":"req_2","accountId":"acc_1","index":1}\n{"callId":"req_1"}\n')
        yield ExportCallsResponse(lines=b'{"callId":"req_0"}\n')

    async def get_log_file(self, request: GetLogFileRequest, context: Context) -> GetLogFileResponse:
        self._others.note(request, context)
        if request.path == "tile/0/001":
            await abort(context, DomainError(Reason.LOG_FILE_NOT_FOUND))
        if request.path == "tile/0/002":
            await context.abort(grpc.StatusCode.UNKNOWN, "a text from inside")
        content = f"{Log.Name(request.log)} {request.path}\n".encode()
        return GetLogFileResponse(content=content, immutable=request.path != "checkpoint")

    def handler(self) -> grpc.GenericRpcHandler:
        export: Any = self.export_calls
        return _service(
            "igstats.audit.v1.AuditService",
            SearchCalls=_one(self.search_calls, SearchCallsRequest),
            ExportCalls=grpc.unary_stream_rpc_method_handler(export, ExportCallsRequest.FromString, _bytes),
            GetLogFile=_one(self.get_log_file, GetLogFileRequest),
        )


def _service(name: str, **methods: Any) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(name, methods)


def _handlers(seen: Others) -> tuple[grpc.GenericRpcHandler, ...]:
    register, erasures = _one(_registered, RegisterHolderRequest), _one(_no_erasures, ListErasuresRequest)
    return (
        FakeStats(seen).handler(),
        _service("igstats.stats.v1.SubjectService", EndConnections=_one(_departing(seen), EndConnectionsRequest)),
        FakePrivacy(seen).handler(),
        *seen.doorkeeper.handlers(),
        _service("igstats.holder.v1.HolderTasksService", RegisterHolder=register, ListErasures=erasures),
        FakeAudit(seen).handler(),
    )


def _server(certificates: Authority, service: str) -> tuple[grpc.aio.Server, str]:
    issued, root = certificates.issue(service), certificates.certificate.read_bytes()
    pairs = [(issued.key.read_bytes(), issued.certificate.read_bytes())]
    credentials = grpc.ssl_server_credentials(pairs, root, require_client_auth=True)
    server = grpc.aio.server()
    return server, f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Gateway:
    """A running gateway as its customers see it."""

    config: GatewayConfig
    channel: grpc.aio.Channel
    http: aiohttp.ClientSession
    account: NewAccount
    others: Others
    database: Database
    registration: Registration
    running: asyncio.Task[None]

    async def ask(self, verb: str, path: str, **options: Any) -> Answer:
        """One HTTP exchange."""
        async with self.http.request(verb, path, **options) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    @property
    def key(self) -> dict[str, str]:
        """The header that shows the key."""
        return {"Authorization": f"Bearer {self.account.key}"}

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The same for gRPC."""
        return (("authorization", f"Bearer {self.account.key}"),)


@pytest_asyncio.fixture(loop_scope="session")
async def others(certificates: Authority) -> AsyncIterator[Others]:
    """Stand-ins of stats, privacy and audit."""
    seen = Others()
    for service in ("stats", "privacy", "audit"):
        server, seen.addresses[service] = _server(certificates, service)
        server.add_generic_rpc_handlers(_handlers(seen))
        await server.start()
        seen.servers[service] = server
    yield seen
    for server in seen.servers.values():
        await server.stop(None)


@pytest.fixture
def partners_file() -> Path | None:
    """The partners that may bring requests; tests of their doors say who."""
    return None


@pytest.fixture
def minute_units() -> int:
    """What an account may spend in a minute; tests of the limit say less."""
    return 600


@pytest_asyncio.fixture(loop_scope="session")
async def settings(
    config: Callable[[str], Awaitable[ServiceConfig]],
    others: Others,
    certificates: Authority,
    partners_file: Path | None,
    minute_units: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> GatewayConfig:
    """Settings of a gateway that finds the stand-ins; the environment says the same."""
    await config("gateway")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.certificate))  # whom callbacks trust
    monkeypatch.setenv("IGSTATS_GATEWAY_PARTNERS", str(partners_file or ""))
    monkeypatch.setenv("IGSTATS_GATEWAY_MINUTE_UNITS", str(minute_units))
    for service, address in others.addresses.items():
        monkeypatch.setenv(f"IGSTATS_{service.upper()}_ADDRESS", address)
    for port in ("GRPC", "HTTP"):
        monkeypatch.setenv(f"IGSTATS_GATEWAY_PUBLIC_{port}_LISTEN", f"127.0.0.1:{free_port()}")
    apps = tmp_path / "meta-apps"
    apps.write_text("1001:secret\n2002:another\n")
    monkeypatch.setenv("IGSTATS_GATEWAY_META_APPS", str(apps))
    monkeypatch.setattr("igstats_kit.log.configure", lambda _service: None)
    return GatewayConfig.load()


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(
    settings: GatewayConfig,
    others: Others,
    certificates: Authority,
    database: Callable[[str], Awaitable[Database]],
) -> AsyncIterator[Gateway]:
    """A running gateway with one account that may do everything."""
    found = await database("gateway")
    store = Store(found, Tokens(read_secret(settings.suppression_key)))
    registration = Registration(store, Pepper(read_secret(settings.key_pepper)), SystemClock())
    account = await registration.create("Ann's", Contact("", "ann@example.com", "Ann"), scopes())
    running = asyncio.create_task(serve(Arguments("serve")))
    async with AsyncExitStack() as opened:
        opened.push_async_callback(_stop, running)
        channel = await opened.enter_async_context(_channel(settings.public_grpc_listen, certificates))
        await _first(channel.channel_ready(), running)
        await _first(accepting(settings.public_http_listen), running)
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=certificates.certificate))
        http = await opened.enter_async_context(
            aiohttp.ClientSession(f"https://{settings.public_http_listen}", connector=connector)
        )
        yield Gateway(settings, channel, http, account, others, found, registration, running)


@pytest_asyncio.fixture(loop_scope="session")
async def partner(certificates: Authority) -> AsyncIterator[Partner]:
    """A partner that takes callbacks."""
    async with serving_partner(certificates) as found:
        yield found


def _channel(address: str, certificates: Authority) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(certificates.certificate.read_bytes())
    return grpc.aio.secure_channel(address, credentials, options=(("grpc.max_reconnect_backoff_ms", 100),))


async def _first(wanted: Coroutine[Any, Any, None], running: asyncio.Task[None]) -> None:
    """Waits for the one, unless the other fails before."""
    waiting = asyncio.create_task(wanted)
    await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        running.result()
    await waiting


async def _stop(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
