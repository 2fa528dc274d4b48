"""The whole service, running: its real wiring over mutual TLS, NATS and PostgreSQL, with itself as a holder."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from igstats.api.v1 import request_service_pb2 as api
from igstats.api.v1.request_service_pb2_grpc import RequestServiceStub
from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceStub
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats.privacy.v1.status_service_pb2_grpc import StatusServiceStub
from igstats.stats.v1.subject_service_pb2 import ResolveSubjectsRequest, ResolveSubjectsResponse, Subject
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceServicer, add_SubjectServiceServicer_to_server
from igstats_kit.access import Access
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.config import ServiceConfig
from igstats_kit.declare import Declarations, impersonal_store
from igstats_kit.events import Bus, Stream
from igstats_kit.holder import HolderRunner
from igstats_kit.outbox import Relay
from igstats_kit.receipt import Signer
from igstats_kit.seal import Sealer
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects
from igstats_kit.tables import KIT_TABLES
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.plugin import OPERATOR
from igstats_kit.testing.processes import free_port
from igstats_privacy.app import serve
from igstats_privacy.config import PrivacyConfig
from nats.aio.client import Client

ULID_TEXT = "01jd3zmg6m0000000000000000"
ACCOUNT = f"acc_{ULID_TEXT}"
METADATA = (("x-igstats-account-id", ACCOUNT), ("x-igstats-key-id", "key_01"), ("x-igstats-scopes", "privacy:write"))
OTHER = (("x-igstats-account-id", "acc_01jd3zmg6m0000000000000001"), *METADATA[1:])
MakeBus = Callable[[str], Awaitable[Bus]]
MakeDatabase = Callable[[str], Awaitable[Database]]
MakeConfig = Callable[[str], Awaitable[ServiceConfig]]


def new_signer() -> Signer:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Signer(pem)


class Stats(SubjectServiceServicer):
    """Knows every profile; ada is connected."""

    async def ResolveSubjects(self, request: ResolveSubjectsRequest, _context: object) -> ResolveSubjectsResponse:
        return ResolveSubjectsResponse(
            subjects=[
                Subject(
                    identifiers=query.identifiers,
                    connected=all(one.value == "ada" for one in query.identifiers),
                    account_ids=[OTHER[0][1]],
                )
                for query in request.queries
            ]
        )

    async def EndConnections(self, _request: object, _context: object) -> Any:
        raise NotImplementedError


@dataclass
class Service:
    """The running service, and what its callers call it by."""

    address: str
    certificates: Authority
    nats: Client
    opened: AsyncExitStack
    channels: dict[str, Channels] = field(default_factory=dict)

    def channel(self, caller: str) -> grpc.aio.Channel:
        if caller not in self.channels:
            self.channels[caller] = Channels(_as(caller, self.certificates))
            self.opened.push_async_callback(self.channels[caller].close)
        return self.channels[caller].to("privacy", self.address)

    @property
    def requests(self) -> Any:
        return RequestServiceStub(self.channel("gateway"))

    @property
    def status(self) -> Any:
        return StatusServiceStub(self.channel("gateway"))

    @property
    def officers_status(self) -> Any:
        return StatusServiceStub(self.channel("operator"))

    @property
    def office(self) -> Any:
        return PrivacyServiceStub(self.channel("operator"))

    async def create(self, **fields: Any) -> api.PrivacyRequest:
        request = api.CreateRequestRequest(**fields)
        answer = await self.requests.CreateRequest(request, metadata=METADATA)
        made: api.PrivacyRequest = answer.request
        return made

    async def watched(self, request_id: str) -> list[api.PrivacyRequest]:
        watch = self.requests.WatchRequest(api.WatchRequestRequest(request_id=request_id), metadata=METADATA)
        return [answer.request async for answer in watch]


def _as(service: str, certificates: Authority) -> PrivacyConfig:
    issued = certificates.issue(service)
    return PrivacyConfig.load(tls_cert=issued.certificate, tls_key=issued.key)


async def _stats(opened: AsyncExitStack, certificates: Authority) -> str:
    address = f"127.0.0.1:{free_port()}"
    config = _as("stats", certificates).model_copy(update={"listen": address, "health_listen": None})
    methods = ("ResolveSubjects", "EndConnections")
    callers = Access(frozenset({"privacy"}))
    rpc = RpcServer(config, {f"/igstats.stats.v1.SubjectService/{method}": callers for method in methods})
    add_SubjectServiceServicer_to_server(Stats(), rpc.server)
    await rpc.start()
    opened.push_async_callback(rpc.stop, 0)
    return address


async def _stop(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _serving(channel: grpc.aio.Channel) -> None:
    """Waits until the service says that it is ready."""
    health: Any = HealthStub(channel)
    async for answer in health.Watch(HealthCheckRequest(), wait_for_ready=True):
        if answer.status == HealthCheckResponse.SERVING:
            return


@pytest.fixture
def chosen() -> dict[str, str]:
    """Settings of the service that differ from their defaults; a test module says its own."""
    return {}


@pytest.fixture
async def service(
    config: MakeConfig, certificates: Authority, nats: Nats, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> AsyncIterator[Service]:
    address = f"127.0.0.1:{free_port()}"
    await config("privacy")
    monkeypatch.setattr("igstats_kit.log.configure", lambda _service: None)
    async with AsyncExitStack() as opened:
        for name, value in chosen.items():
            monkeypatch.setenv(f"IGSTATS_PRIVACY_{name}", value)
        monkeypatch.setenv("IGSTATS_PRIVACY_LISTEN", address)
        monkeypatch.setenv("IGSTATS_STATS_ADDRESS", await _stats(opened, certificates))
        client = await opened.enter_async_context(nats.operator(certificates.issue(OPERATOR)))
        records = Stream("RECORDS", ("igstats.*.v1.record.made",), timedelta(hours=1), impersonal_store("audit's"))
        await client.jetstream().add_stream(records.config())
        opened.push_async_callback(_stop, asyncio.create_task(serve()))
        made = Service(address, certificates, client, opened)
        await _serving(made.channel("operator"))
        yield made


@pytest.fixture
async def gateway(service: Service, database: MakeDatabase, bus: MakeBus) -> AsyncIterator[HolderRunner]:
    """A second holder: the kit's own runner, over its own NATS user and database."""
    store, speaker = await database("kit"), await bus("gateway")
    stub: Any = HolderTasksServiceStub(service.channel("gateway"))
    subjects = Subjects(Declarations(KIT_TABLES), Sealer(b"g" * 32))
    runner = HolderRunner("gateway", subjects, store, speaker, stub, new_signer(), SystemClock())
    await runner.register()
    workers = [
        asyncio.create_task(worker()) for worker in (Relay(store, speaker, SystemClock()).run, runner.consumer().run)
    ]
    yield runner
    for worker in workers:
        await _stop(worker)
