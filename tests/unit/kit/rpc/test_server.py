"""The server as its clients see it: every kind of RPC, every interceptor, and nothing of what goes wrong inside."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue as Text
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from igstats_kit.access import Access, AccessTableError
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.access import AccessInterceptor
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.deadline import DeadlineInterceptor, time_left
from igstats_kit.interceptors.identity import IdentityInterceptor, account, call_id, caller
from igstats_kit.server import RpcServer, standard_interceptors
from igstats_kit.status import from_rpc_error
from igstats_kit.testing.certificates import Authority
from structlog.testing import capture_logs

Serve = Callable[..., Any]
Settings = Callable[..., Any]
Stub = Any  # classes of conftest cannot be imported
Running = Any
Option = Any
KINDS = ("One", "Many", "Upload", "Talk")
CANARY = "jane.doe@example.org"


async def texts(*values: str) -> AsyncIterator[Text]:
    for value in values:
        yield Text(value=value)


async def ask(stub: Stub, kind: str, *values: str, **options: Option) -> list[str]:
    """Calls an RPC of any kind and returns what it answers."""
    request = texts(*values) if kind in ("Upload", "Talk") else Text(value=" ".join(values))
    answer = getattr(stub, kind)(request, **options)
    if kind in ("Many", "Talk"):
        return [response.value async for response in answer]
    return [(await answer).value]


def behaving(act: Callable[[], str]) -> dict[str, Any]:
    """Behaviours of all kinds that answer with what `act` returns, or raise what it raises."""

    async def single(_request: object, _context: object) -> Text:
        return Text(value=act())

    async def stream(_request: object, _context: object) -> AsyncIterator[Text]:
        yield Text(value=act())

    return {"One": single, "Many": stream, "Upload": single, "Talk": stream}


def noting(calls: list[Any]) -> Callable[[], str]:
    """An act that notes that it ran."""

    def act() -> str:
        calls.append("ran")
        return ""

    return act


async def refusal(call: Awaitable[object]) -> DomainError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def test_all_four_kinds_pass_through_the_chain(serve: Serve) -> None:
    stub = (await serve()).stub
    assert await ask(stub, "One", "a") == ["one a"]
    assert await ask(stub, "Many", "a", "b") == ["a", "b"]
    assert await ask(stub, "Upload", "a", "b") == ["a b"]
    assert await ask(stub, "Talk", "a", "b") == ["talk a", "talk b"]


async def test_servicer_may_write_its_answers_instead_of_yielding_them(serve: Serve) -> None:
    async def write(request: Text, context: Context) -> None:
        await context.write(request)
        raise DomainError(Reason.EXPORT_EXPIRED)

    stream = (await serve(Many=write)).stub.Many(Text(value="a"))
    assert (await anext(stream)).value == "a"
    with pytest.raises(DomainError):
        await anext(stream)


@pytest.mark.parametrize("kind", KINDS)
async def test_caller_is_the_name_in_the_certificate(serve: Serve, kind: str) -> None:
    running = await serve(**behaving(caller), as_service="privacy", echo={"callers": frozenset({"privacy"})})
    assert await ask(running.stub, kind) == ["privacy"]


@pytest.mark.parametrize("kind", KINDS)
async def test_caller_without_a_row_is_refused(serve: Serve, kind: str) -> None:
    running = await serve(as_service="audit")
    with pytest.raises(DomainError) as caught:
        await ask(running.stub, kind)
    assert (caught.value.reason, caught.value.metadata) == (Reason.CALLER_NOT_ALLOWED, {"caller": "audit"})


@pytest.mark.parametrize("kind", KINDS)
async def test_unexpected_error_becomes_internal_with_a_fixed_text(serve: Serve, kind: str) -> None:
    def fail() -> str:
        raise RuntimeError(CANARY)

    running = await serve(**behaving(fail))
    with capture_logs() as lines, pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(running.bare, kind, timeout=5)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "Something went wrong on our side."
    assert CANARY not in repr(caught.value)
    assert [(line["event"], line.get("code")) for line in lines] == [("unexpected error", None), ("rpc", "INTERNAL")]


@pytest.mark.parametrize("kind", KINDS)
async def test_domain_error_arrives_with_its_type_and_metadata(serve: Serve, kind: str) -> None:
    def fail() -> str:
        raise DomainError(Reason.RATE_LIMITED, retry_after=1.5, policy="minute")

    running = await serve(**behaving(fail))
    with pytest.raises(DomainError) as caught:
        await ask(running.stub, kind)
    assert caught.value.reason is Reason.RATE_LIMITED
    assert caught.value.metadata == {"policy": "minute"}
    assert caught.value.retry_after == 1.5


@pytest.mark.parametrize("kind", ["One", "Upload"])
async def test_call_without_a_deadline_is_refused(serve: Serve, kind: str) -> None:
    running = await serve()
    assert (await refusal(ask(running.bare, kind))).reason is Reason.DEADLINE_TOO_SHORT


@pytest.mark.parametrize("kind", ["Many", "Talk"])
async def test_answers_that_stream_need_no_deadline(serve: Serve, kind: str) -> None:
    running = await serve()
    assert await ask(running.bare, kind, "a", metadata=()) != []


@pytest.mark.parametrize("kind", KINDS)
async def test_deadline_too_short_to_do_anything_is_refused(serve: Serve, kind: str) -> None:
    ran: list[str] = []
    running = await serve(**behaving(noting(ran)))
    await running.plain.channel_ready()
    assert (await refusal(ask(running.bare, kind, timeout=0.09))).public.code == "DEADLINE_EXCEEDED"
    assert ran == []


async def test_servicer_knows_how_much_time_is_left(serve: Serve) -> None:
    running = await serve(**behaving(lambda: str(time_left())))
    [left] = await ask(running.bare, "One", timeout=30)
    assert 20 < float(left) <= 30
    assert await ask(running.bare, "Many") == ["None"]


async def test_unknown_method_is_named(serve: Serve) -> None:
    running = await serve()
    error = await refusal(running.bare.Nothing(Text(), timeout=5))
    assert (error.reason, error.metadata) == (Reason.METHOD_UNKNOWN, {"method": "/test.v1.EchoService/Nothing"})


async def test_each_rpc_leaves_one_line_with_its_call_id(serve: Serve) -> None:
    running = await serve(**behaving(call_id))
    with capture_logs() as lines:
        await ask(running.stub, "One")
        await ask(running.stub, "Many")
        with contextlib.suppress(DomainError):
            await ask(running.stub, "Nothing")
    told = [(line["event"], line["method"].rpartition("/")[2], line.get("code")) for line in lines]
    assert told == [("rpc", "One", "OK"), ("rpc", "Many", "OK"), ("rpc refused", "Nothing", None)]
    assert {line["caller"] for line in lines} == {"gateway"}


async def test_probes_are_logged_at_debug(serve: Serve) -> None:
    running = await serve()
    with capture_logs() as lines:
        await health_of(running.plain)
        await ask(running.stub, "One")
    assert [line["log_level"] for line in lines] == ["debug", "info"]


async def test_call_id_is_taken_over_or_made(serve: Serve) -> None:
    running = await serve(**behaving(call_id))
    given = "req_01jqzv5n8g6k2m4p7r9t1w3x5y"
    assert await ask(running.stub, "One", metadata=(("x-igstats-call-id", given),)) == [given]
    [made] = await ask(running.stub, "One", metadata=(("x-igstats-call-id", CANARY),))
    assert made.startswith("req_")
    assert len(made) == len(given)


ACCOUNT = (
    ("x-igstats-account-id", "acc_1"),
    ("x-igstats-key-id", "key_1"),
    ("x-igstats-scopes", "stats:read privacy:write"),
)


def tell_account() -> str:
    found = account()
    return f"{found.account_id} {found.key_id} {' '.join(sorted(found.scopes))}"


async def test_gateway_speaks_for_an_account(serve: Serve) -> None:
    running = await serve(**behaving(tell_account))
    assert await ask(running.stub, "One", metadata=ACCOUNT) == ["acc_1 key_1 privacy:write stats:read"]
    with pytest.raises(DomainError):
        await ask(running.stub, "One")


async def test_account_named_by_anyone_else_is_ignored(serve: Serve) -> None:
    running = await serve(**behaving(tell_account), as_service="privacy", echo={"callers": frozenset({"privacy"})})
    with pytest.raises(DomainError) as caught:
        await ask(running.stub, "One", metadata=ACCOUNT)
    assert caught.value.reason is Reason.CALLER_NOT_ALLOWED


async def test_message_above_four_mebibytes_is_refused(serve: Serve) -> None:
    running = await serve()
    large = "x" * (4 * 1024 * 1024 + 1)
    with pytest.raises(DomainError) as caught:
        await ask(running.stub, "One", large)
    assert caught.value.reason is Reason.MESSAGE_TOO_LARGE


async def test_audited_call_is_recorded_before_it_runs(serve: Serve) -> None:
    order: list[object] = []

    async def audit(method: str, by: str) -> None:
        order.append((method, by))

    running = await serve(**behaving(noting(order)), echo={"audited": True, "audit": audit})
    await ask(running.stub, "One")
    assert order == [("/test.v1.EchoService/One", "gateway"), "ran"]


async def test_audited_call_does_not_run_when_it_cannot_be_recorded(serve: Serve) -> None:
    ran: list[str] = []

    async def audit(_method: str, _by: str) -> None:
        raise RuntimeError(CANARY)

    running = await serve(**behaving(noting(ran)), echo={"audited": True, "audit": audit})
    error = await refusal(ask(running.bare, "One", timeout=5))
    assert (error.reason, ran) == (Reason.INTERNAL, [])


async def test_server_with_audited_rows_needs_someone_to_write_the_records(settings: Settings) -> None:
    with pytest.raises(ValueError, match=r"nobody writes the audit records of /a.B/C"):
        RpcServer(settings("echo"), {"/a.B/C": Access(frozenset(), audited=True)})


async def test_interceptors_out_of_order_are_refused(settings: Settings) -> None:
    swapped = [IdentityInterceptor(), DeadlineInterceptor(), AccessInterceptor({})]
    with pytest.raises(ValueError, match=r"DeadlineInterceptor must come after AccessInterceptor"):
        RpcServer(settings("echo"), {}, interceptors=swapped)


def test_standard_order_is_the_documented_one() -> None:
    names = [type(interceptor).__name__.removesuffix("Interceptor") for interceptor in standard_interceptors({})]
    assert names == ["Identity", "Access", "Deadline", "Observe", "Validate", "Errors"]


def test_every_interceptor_but_the_first_says_what_precedes_it() -> None:
    first, *others = standard_interceptors({})
    assert first.after == ()
    assert all(interceptor.after for interceptor in others)


async def test_rpc_without_an_access_row_keeps_the_server_from_starting(settings: Settings) -> None:
    rpc = RpcServer(settings("echo"), {})
    rpc.server.add_registered_method_handlers("a.B", {"C": grpc.unary_unary_rpc_method_handler(lambda *_: None)})
    with pytest.raises(AccessTableError, match=r"no access row for /a.B/C"):
        await rpc.start()


async def test_access_row_without_an_rpc_keeps_the_server_from_starting(settings: Settings) -> None:
    rpc = RpcServer(settings("echo"), {"/a.B/C": Access(frozenset())})
    with pytest.raises(AccessTableError, match=r"access row without a method: /a.B/C"):
        await rpc.start()


def raw(channel: grpc.aio.Channel, **options: Option) -> Awaitable[bytes]:
    """A call without serialisers."""
    call: Callable[..., Awaitable[bytes]] = channel.unary_unary("/test.v1.EchoService/One")
    return call(b"", **options)


async def health_of(channel: grpc.aio.Channel, service: str = "") -> str:
    response = await HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=5)
    return str(HealthCheckResponse.ServingStatus.Name(response.status))


async def test_health_says_not_serving_until_told(serve: Serve) -> None:
    running = await serve()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.rpc.health_port}") as probe:
        assert await health_of(probe) == "NOT_SERVING"
        assert await health_of(running.plain, "test.v1.EchoService") == "NOT_SERVING"
        await running.rpc.set_serving(True)
        assert await health_of(probe) == "SERVING"
        assert await health_of(running.plain, "test.v1.EchoService") == "SERVING"


async def test_health_port_has_nothing_but_health(serve: Serve) -> None:
    running = await serve()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.rpc.health_port}") as probe:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(probe, timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_health_and_reflection_need_neither_row_nor_deadline(serve: Serve) -> None:
    running = await serve(as_service="audit")
    await HealthStub(running.plain).Check(HealthCheckRequest())

    async def questions() -> AsyncIterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(list_services="")

    [answer] = [found async for found in ServerReflectionStub(running.plain).ServerReflectionInfo(questions())]
    assert "test.v1.EchoService" in [service.name for service in answer.list_services_response.service]


async def test_client_without_a_certificate_of_ours_is_refused(
    serve: Serve, certificates: Authority, tmp_path: Path
) -> None:
    running = await serve()
    stranger = Authority(tmp_path / "stranger").issue("gateway")
    authority = certificates.certificate.read_bytes()
    name = (("grpc.ssl_target_name_override", "echo"),)
    keys: list[tuple[bytes | None, bytes | None]] = [
        (None, None),
        (stranger.key.read_bytes(), stranger.certificate.read_bytes()),
    ]
    for key, certificate in keys:
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        async with grpc.aio.secure_channel(running.address, credentials, options=name) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await HealthStub(channel).Check(HealthCheckRequest(), timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_stopping_lets_running_calls_end(serve: Serve) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(_request: object, _context: object) -> Text:
        started.set()
        await release.wait()
        return Text(value="done")

    running = await serve(One=slow)
    await running.rpc.set_serving(True)
    call = asyncio.create_task(ask(running.bare, "One", timeout=30))
    await started.wait()
    stopping = asyncio.create_task(running.rpc.stop(30))
    await until_not_serving(running)
    release.set()
    assert await call == ["done"]
    await stopping


async def until_not_serving(running: Running) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.rpc.health_port}") as probe:
        while await health_of(probe) == "SERVING":
            pass
