"""The whole service: its real wiring over mutual TLS, NATS and PostgreSQL, beside a privacy that only registers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from igstats.api.v1 import connection_service_pb2 as connection_api
from igstats.api.v1 import profile_pb2
from igstats.api.v1 import stats_service_pb2 as stats_api
from igstats.api.v1.connection_service_pb2_grpc import ConnectionServiceStub
from igstats.api.v1.stats_service_pb2_grpc import StatsServiceStub
from igstats.event.v1.events_pb2 import ProfileChanged
from igstats.holder.v1.holder_tasks_service_pb2 import (
    LeaseTasksRequest,
    LeaseTasksResponse,
    ListErasuresRequest,
    ListErasuresResponse,
    RegisterHolderRequest,
    RegisterHolderResponse,
    UploadExportResponse,
)
from igstats.holder.v1.holder_tasks_service_pb2_grpc import (
    HolderTasksServiceServicer,
    add_HolderTasksServiceServicer_to_server,
)
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.stats.v1.subject_service_pb2 import ResolveSubjectsRequest, SubjectQuery
from igstats.stats.v1.subject_service_pb2_grpc import SubjectServiceStub
from igstats_dev.instagram.server import Emulator
from igstats_kit.access import Access
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.server import RpcServer
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.plugin import OPERATOR
from igstats_kit.testing.processes import free_port
from igstats_stats.app import check, migrate_database, serve
from igstats_stats.config import StatsConfig
from igstats_stats.events import PROFILE_CHANGED
from igstats_stats.model import Missing
from nats.aio.client import Client

ACCOUNT = (
    ("x-igstats-account-id", "acc_01"),
    ("x-igstats-key-id", "key_01"),
    ("x-igstats-scopes", "stats:read connections:write connections:read"),
    ("x-igstats-call-id", "req_01jzzzzzzzzzzzzzzzzzzzzzzz"),
)


class Privacy(HolderTasksServiceServicer):
    """As much of privacy as a start needs."""

    def __init__(self) -> None:
        self.described: list[str] = []

    async def RegisterHolder(self, request: RegisterHolderRequest, _context: object) -> RegisterHolderResponse:
        self.described = [store.store for store in request.description.stores]
        return RegisterHolderResponse()

    async def LeaseTasks(self, _request: LeaseTasksRequest, _context: object) -> LeaseTasksResponse:
        return LeaseTasksResponse()

    async def UploadExport(self, _requests: object, _context: object) -> UploadExportResponse:
        return UploadExportResponse()

    async def ListErasures(self, _request: ListErasuresRequest, _context: object) -> ListErasuresResponse:
        return ListErasuresResponse()


@dataclass
class Service:
    """The running service, and channels to it as two of its callers."""

    address: str
    privacy: Privacy
    as_gateway: grpc.aio.Channel
    as_privacy: grpc.aio.Channel
    nats: Client
    emulator: Emulator


def _as(service: str, certificates: Authority) -> StatsConfig:
    issued = certificates.issue(service)
    return StatsConfig.load(tls_cert=issued.certificate, tls_key=issued.key)


async def _stand_in(opened: AsyncExitStack, certificates: Authority, privacy: Privacy) -> str:
    port = free_port()
    config = _as("privacy", certificates).model_copy(update={"listen": f"127.0.0.1:{port}", "health_listen": None})
    methods = ("RegisterHolder", "LeaseTasks", "UploadExport", "ListErasures")
    row = Access(frozenset({"stats"}))
    rpc = RpcServer(config, {f"/igstats.holder.v1.HolderTasksService/{method}": row for method in methods})
    add_HolderTasksServiceServicer_to_server(privacy, rpc.server)
    await rpc.start()
    opened.push_async_callback(rpc.stop, 0)
    return f"127.0.0.1:{port}"


@pytest.fixture
async def service(
    config: Callable[[str], Awaitable[ServiceConfig]],
    certificates: Authority,
    nats: Nats,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Service]:
    await config("stats")
    monkeypatch.setattr("igstats_kit.log.configure", lambda _service: None)
    privacy, address = Privacy(), f"127.0.0.1:{free_port()}"
    async with AsyncExitStack() as opened:
        monkeypatch.setenv("IGSTATS_PRIVACY_ADDRESS", await _stand_in(opened, certificates, privacy))
        monkeypatch.setenv("IGSTATS_STATS_LISTEN", address)
        monkeypatch.setenv("IGSTATS_STATS_INSTAGRAM_URL", emulator.url)
        client = await opened.enter_async_context(nats.operator(certificates.issue(OPERATOR)))
        running = asyncio.create_task(serve())
        opened.push_async_callback(_stop, running)
        channels = {name: Channels(_as(name, certificates)) for name in ("gateway", "privacy")}
        for each in channels.values():
            opened.push_async_callback(each.close)
        made = {name: each.to("stats", address) for name, each in channels.items()}
        yield Service(address, privacy, made["gateway"], made["privacy"], client, emulator)


async def _stop(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def connect(service: Service, token: str) -> connection_api.Connection:
    stub: Any = ConnectionServiceStub(service.as_gateway)
    request = connection_api.CreateConnectionRequest(access_token=token)
    answer = await stub.CreateConnection(request, metadata=ACCOUNT, wait_for_ready=True, timeout=20)
    made: connection_api.Connection = answer.connection
    return made


async def test_a_connected_profile_is_synchronised_by_itself_and_can_be_read(service: Service) -> None:
    person = service.emulator.people.all[0]
    changes = await service.nats.subscribe(PROFILE_CHANGED)
    await service.nats.flush()
    made = await connect(service, person.access_token)
    assert made.instagram_user_id == person.user_id
    assert made.state == connection_api.CONNECTION_STATE_ACTIVE
    told: dict[str, int] = {}
    while "audience" not in told:
        told.update(ProfileChanged.FromString((await changes.next_msg(timeout=30)).data).counts)
    stub: Any = StatsServiceStub(service.as_gateway)
    got = await stub.GetProfile(stats_api.GetProfileRequest(profile=person.username), metadata=ACCOUNT)
    assert got.profile.profile_id == made.profile_id
    listed = await stub.ListProfiles(stats_api.ListProfilesRequest(), metadata=ACCOUNT)
    assert [profile.username for profile in listed.profiles] == [person.username]
    media = await stub.ListMedia(stats_api.ListMediaRequest(profile=person.user_id, page_size=3), metadata=ACCOUNT)
    assert len(media.media) == 3
    assert media.next_page_token
    audience = await stub.ListAudience(stats_api.ListAudienceRequest(profile=person.user_id), metadata=ACCOUNT)
    assert {each.dimension for each in audience.slices} <= {"age", "city", "country", "gender"}
    asked = stats_api.QueryTimeSeriesRequest(
        profile=person.username, metrics=["reach", "followers_count"], start_day="2020-01-01", end_day="2020-01-02"
    )
    series = (await stub.QueryTimeSeries(asked, metadata=ACCOUNT)).series
    assert [(each.metric, each.metric_kind, each.day_boundary) for each in series] == [
        ("reach", "UNIQUE", "America/Los_Angeles"),
        ("followers_count", "GAUGE", "America/Los_Angeles"),
    ]
    assert series[0].points[0].count.missing_reason == profile_pb2.MISSING_REASON_NOT_REQUESTED


async def test_connections_are_listed_read_asked_and_ended(service: Service) -> None:
    made = await connect(service, service.emulator.people.all[0].access_token)
    stub: Any = ConnectionServiceStub(service.as_gateway)
    listed = await stub.ListConnections(connection_api.ListConnectionsRequest(), metadata=ACCOUNT)
    assert [each.connection_id for each in listed.connections] == [made.connection_id]
    key = {"connection_id": made.connection_id}
    got = await stub.GetConnection(connection_api.GetConnectionRequest(**key), metadata=ACCOUNT)
    assert got.connection.profile_id == made.profile_id
    await stub.SyncConnection(connection_api.SyncConnectionRequest(**key), metadata=ACCOUNT)
    await stub.DeleteConnection(connection_api.DeleteConnectionRequest(**key), metadata=ACCOUNT)
    with pytest.raises(DomainError) as refused:
        await stub.GetConnection(connection_api.GetConnectionRequest(**key), metadata=ACCOUNT)
    assert refused.value.reason is Reason.CONNECTION_NOT_FOUND


async def test_only_the_gateway_reads_and_only_privacy_resolves(service: Service) -> None:
    person = service.emulator.people.all[0]
    await connect(service, person.access_token)
    identifiers = [Identifier(kind=IdentifierKind.IDENTIFIER_KIND_USERNAME, value=person.username)]
    asked = ResolveSubjectsRequest(queries=[SubjectQuery(identifiers=identifiers, account_id="acc_01")])
    resolve: Any = SubjectServiceStub(service.as_privacy)
    [found] = (await resolve.ResolveSubjects(asked)).subjects
    assert [(each.kind, each.value) for each in found.identifiers] == [
        (IdentifierKind.IDENTIFIER_KIND_USERNAME, person.username),
        (IdentifierKind.IDENTIFIER_KIND_INSTAGRAM_USER_ID, person.user_id),
    ]
    assert found.connected
    wrong: list[Any] = [
        SubjectServiceStub(service.as_gateway).ResolveSubjects(asked),
        StatsServiceStub(service.as_privacy).GetProfile(stats_api.GetProfileRequest(profile=person.username)),
        StatsServiceStub(service.as_gateway).GetProfile(stats_api.GetProfileRequest(profile=person.username)),
    ]
    for call in wrong:
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason is Reason.CALLER_NOT_ALLOWED


async def test_a_dead_token_is_refused_with_its_reason(service: Service) -> None:
    with pytest.raises(DomainError) as refused:
        await connect(service, "IGtest-nobody")
    assert refused.value.reason is Reason.INSTAGRAM_TOKEN_DEAD


async def test_it_announces_every_store_to_privacy(service: Service) -> None:
    await connect(service, service.emulator.people.all[0].access_token)
    assert {"profiles", "connections", "media", "SYNC", "PROFILES", "tombstones"} <= set(service.privacy.described)


async def test_check_prints_the_settings_and_migrate_can_be_repeated(
    config: Callable[[str], Awaitable[ServiceConfig]], capsys: pytest.CaptureFixture[str]
) -> None:
    await config("stats")
    await migrate_database()
    await check()
    printed = capsys.readouterr().out
    assert '"sync_seconds"' in printed
    assert "[redacted]" in printed


def test_reasons_for_missing_values_are_those_of_the_api() -> None:
    ours = {f"MISSING_REASON_{reason.name}": reason.value for reason in Missing}
    assert ours == {name: value for name, value in profile_pb2.MissingReason.items() if value}
