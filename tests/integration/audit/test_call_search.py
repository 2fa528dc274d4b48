"""The API log as customers and officers read it: real index, real RPCs behind mutual TLS, entries from memory."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub, add_AuditServiceServicer_to_server
from igstats.event.v1.events_pb2 import RecordMade
from igstats_audit.access import ACCESS
from igstats_audit.call_query import PageTokens
from igstats_audit.call_search import CallSearch
from igstats_audit.call_servicer import CallRpcs
from igstats_audit.call_store import CallStore
from igstats_audit.model import Entry, Place
from igstats_audit.tables import CALL_DAYS, calls
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.tables import outbox, restrictions, tombstones
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens
from sqlalchemy import Table, insert, select, text

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeConfig = Callable[[str], Awaitable[ServiceConfig]]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKENS = Tokens(b"s" * 32)
ASKING = "req_01k00000000000000000000000"


class World:
    """A database with an index, and the payloads that its places lead to."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.payloads: dict[int, bytes] = {}
        clock = FakeClock(NOON)
        pages = PageTokens(Sealer(b"r" * 32))
        self.search = CallSearch(CallStore(database, clock), self.read, TOKENS, pages, clock, days=CALL_DAYS)

    async def read(self, places: Sequence[Place]) -> Sequence[Entry]:
        found = [(place, self.payloads.get(place.index, b"")) for place in places]
        return [Entry(at.index, at.day, "", "", "", "", 0, b"", b"", payload, NOON) for at, payload in found]

    async def add(
        self, name: str, called_at: datetime = NOON, account_id: str = "acc_1", status: int = 0, late: int = 0
    ) -> None:
        """Logs a call, `late` days after it came."""
        index, day = len(self.payloads), called_at.date() + timedelta(days=late)
        token = TOKENS.of("ACCOUNT_ID", account_id) if account_id else None
        row = {"call_id": name, "day": day, "subject_token": token, "index": index, "called_at": called_at}
        after = day + timedelta(days=1)
        async with self.database.transaction() as connection:
            await connection.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS calls_{day:%Y%m%d} PARTITION OF calls"
                    f" FOR VALUES FROM ('{day}') TO ('{after}')"
                )
            )
            await connection.execute(insert(calls), row | {"status": status})
        values = {"call_id": name, "account_id": account_id, "key_id": "k", "method": "/a.B/C", "protocol": "http"}
        values |= {"reason": "", "ip_address": "192.0.2.7", "user_agent": "curl/8"}
        numbers = {"status": status, "latency_us": 1500, "signed": False}
        self.payloads[index] = json.dumps(values | numbers | {"called_time": called_at.isoformat()}).encode()

    async def fence(self, account_id: str, fence: Table = tombstones) -> None:
        row = {"token": TOKENS.of("ACCOUNT_ID", account_id), "request_id": "req_1"}
        async with self.database.transaction() as connection:
            await connection.execute(insert(fence), row)

    async def records(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.database.read() as connection:
            rows = await connection.execute(select(outbox.c.subject, outbox.c.data).order_by(outbox.c.position))
            made = [one for subject, data in rows for one in RecordMade.FromString(data).records]
        return [(one.kind, json.loads(one.payload_json)) for one in made]


@pytest.fixture
async def world(database: MakeDatabase) -> World:
    return World(await database("audit"))


@pytest.fixture
async def stub(world: World, config: MakeConfig, certificates: Authority) -> AsyncIterator[Callable[[str], Any]]:
    """Gives the service as the gateway or an officer sees it."""
    own = await config("audit")

    def settings(service: str) -> ServiceConfig:
        issued = certificates.issue(service)
        return own.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key})

    rpc = RpcServer(settings("audit"), ACCESS)
    servicer = CallRpcs()  # type: ignore[abstract]  # the other methods are not asked for
    servicer.calls = world.search
    add_AuditServiceServicer_to_server(servicer, rpc.server)
    port = await rpc.start()
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(rpc.stop, 0)

        def connect(service: str) -> Any:
            channels = Channels(settings(service))
            opened.push_async_callback(channels.close)
            return AuditServiceStub(channels.to("audit", f"127.0.0.1:{port}"))

        yield connect


async def search(stub: Any, **wanted: Any) -> list[str]:
    """Ids of all pages."""
    seen: list[str] = []
    request = pb.SearchCallsRequest(**wanted)
    while True:
        answer = await stub.SearchCalls(request, metadata=(("x-igstats-call-id", ASKING),))
        seen += [call.call_id for call in answer.calls]
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            return seen


async def export(stub: Any, **wanted: Any) -> list[str]:
    answers = [answer.lines async for answer in stub.ExportCalls(pb.ExportCallsRequest(**wanted))]
    return [json.loads(line)["callId"] for line in b"".join(answers).splitlines()]


def at(moment: datetime) -> Any:
    made = pb.Call().called_time
    made.FromDatetime(moment)
    return made


async def test_calls_are_read_newest_first_over_days_and_pages(world: World, stub: Any) -> None:
    for number in range(9):
        await world.add(f"req_{number}", NOON - timedelta(hours=9 * number), late=number % 2)
    await world.add("req_other", account_id="acc_2")
    mine = [f"req_{number}" for number in range(9)]
    gateway = stub("gateway")
    assert await search(gateway, account_id="acc_1", page_size=2) == mine
    assert await export(gateway, account_id="acc_1") == mine


async def test_a_call_is_shown_as_it_was_sealed(world: World, stub: Any) -> None:
    await world.add("req_1", NOON, status=5)
    (call,) = (await stub("gateway").SearchCalls(pb.SearchCallsRequest(account_id="acc_1"))).calls
    assert (call.account_id, call.status, call.ip_address, call.user_agent) == ("acc_1", 5, "192.0.2.7", "curl/8")
    assert call.called_time.ToDatetime(UTC) == NOON


async def test_filters_leave_out_what_does_not_fit(world: World, stub: Any) -> None:
    await world.add("req_0", NOON, status=0)
    await world.add("req_1", NOON - timedelta(hours=1), status=5)
    await world.add("req_2", NOON - timedelta(days=2), status=5)
    gateway = stub("gateway")
    assert await search(gateway, account_id="acc_1", status=5) == ["req_1", "req_2"]
    assert await search(gateway, account_id="acc_1", status=0) == ["req_0"]
    assert await search(gateway, account_id="acc_1", call_id="req_2") == ["req_2"]
    assert await search(gateway, account_id="acc_1", end_time=at(NOON)) == ["req_1", "req_2"]
    since = at(NOON - timedelta(hours=1))
    assert await search(gateway, account_id="acc_1", start_time=since) == ["req_0", "req_1"]
    assert await export(gateway, account_id="acc_1", start_time=since, end_time=at(NOON), status=5) == ["req_1"]


async def test_days_past_the_limit_are_never_read(world: World, stub: Any) -> None:
    await world.add("req_old", NOON - timedelta(days=CALL_DAYS))
    await world.add("req_last", NOON - timedelta(days=CALL_DAYS - 1))
    assert await search(stub("gateway"), account_id="acc_1") == ["req_last"]


async def test_an_officer_reads_all_calls_but_those_of_fenced_persons(world: World, stub: Any) -> None:
    for number, account_id in enumerate(["acc_1", "acc_2", "acc_3", ""]):
        await world.add(f"req_{number}", NOON - timedelta(seconds=number), account_id)
    await world.fence("acc_2", restrictions)
    await world.fence("acc_3")
    officer = stub("operator")
    assert await search(officer) == ["req_0", "req_3"]
    assert await export(officer) == ["req_0", "req_3"]
    assert await search(officer, call_id="req_1") == []


@pytest.mark.parametrize(
    ("fence", "reason"), [(tombstones, Reason.SUBJECT_ERASED), (restrictions, Reason.SUBJECT_RESTRICTED)]
)
async def test_a_fenced_account_is_refused_to_everybody(world: World, stub: Any, fence: Table, reason: Reason) -> None:
    await world.add("req_1")
    await world.fence("acc_1", fence)
    for service in ("gateway", "operator"):
        for read in (search, export):
            with pytest.raises(DomainError) as refused:
                await read(stub(service), account_id="acc_1")
            assert refused.value.reason is reason


async def test_the_gateway_must_name_an_account_and_others_may_not_ask(world: World, stub: Any) -> None:
    for service, account_id in (("gateway", ""), ("stats", "acc_1"), ("privacy", "acc_1")):
        for read in (search, export):
            with pytest.raises(DomainError) as refused:
                await read(stub(service), account_id=account_id)
            assert refused.value.reason is Reason.CALLER_NOT_ALLOWED


async def test_whoever_reads_leaves_a_record_of_filters_and_counts_alone(world: World, stub: Any) -> None:
    await world.add("req_1", status=5)
    await search(stub("gateway"), account_id="acc_1", status=5)
    await export(stub("operator"), start_time=at(NOON - timedelta(days=1)))
    searched, begun, exported = await world.records()
    told = {"caller": "gateway", "call_id": ASKING, "filters": ["account", "status"], "rows": 1}
    assert searched == ("calls.searched", told)
    assert begun[0] == "calls.export_begun"
    assert exported[0] == "calls.exported"
    assert exported[1] == begun[1] | {"rows": 1, "complete": True}
    assert (exported[1]["caller"], exported[1]["filters"]) == ("operator", ["start_time"])


async def test_wrong_questions_are_told_so(world: World, stub: Any) -> None:
    gateway = stub("gateway")
    for wanted, reason in (
        ({"start_time": at(NOON), "end_time": at(NOON)}, Reason.TIME_RANGE_INVALID),
        ({"status": 1 << 20}, Reason.FIELD_INVALID),
        ({"call_id": "a\0"}, Reason.FIELD_INVALID),
        ({"page_token": "mine"}, Reason.PAGE_TOKEN_INVALID),
    ):
        with pytest.raises(DomainError) as refused:
            await search(gateway, account_id="acc_1", **wanted)
        assert refused.value.reason is reason
    late = pb.SearchCallsRequest(account_id="acc_1")
    late.start_time.seconds = 1 << 60
    with pytest.raises(DomainError) as refused:
        await gateway.SearchCalls(late)
    assert refused.value.violations[0].field == "start_time"
    assert await world.records() == []
