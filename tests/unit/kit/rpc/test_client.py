"""The client as its callers see it: deadlines, retries that do no harm, errors with their type."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodOptions
from google.protobuf.wrappers_pb2 import StringValue as Text
from igstats.holder.v1.holder_tasks_service_pb2 import DESCRIPTOR
from igstats_kit import client
from igstats_kit.client import ATTEMPTS, SHAVED_SECONDS, Channels, budget, is_idempotent
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors import deadline
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import call_id
from igstats_kit.testing.processes import free_port

Serve = Callable[..., Any]
Settings = Callable[..., Any]


@pytest.fixture
def time_left(monkeypatch: pytest.MonkeyPatch) -> Callable[[float | None], None]:
    """Sets how much time the running RPC has."""
    return lambda seconds: monkeypatch.setattr(client, "time_left", lambda: seconds)


@pytest.mark.parametrize(
    ("left", "wanted", "otherwise", "given"),
    [
        (None, None, 5.0, 5.0),
        (None, 9.0, 5.0, 9.0),
        (None, None, None, None),
        (3.0, None, 5.0, 3.0 - SHAVED_SECONDS),
        (3.0, None, None, 3.0 - SHAVED_SECONDS),
        (3.0, 1.0, 5.0, 1.0),
        (3.0, 9.0, 5.0, 3.0 - SHAVED_SECONDS),
    ],
)
def test_a_call_never_gets_more_time_than_its_own_caller_waits(
    time_left: Callable[[float | None], None],
    left: float | None,
    wanted: float | None,
    otherwise: float | None,
    given: float | None,
) -> None:
    time_left(left)
    assert budget(wanted, otherwise) == given


def test_a_call_without_time_left_is_not_made(time_left: Callable[[float | None], None]) -> None:
    time_left(SHAVED_SECONDS)
    with pytest.raises(DomainError) as caught:
        budget(None, 5.0)
    assert caught.value.reason is Reason.DEADLINE_TOO_SHORT


async def test_deadline_and_call_id_are_passed_on_to_the_next_service(serve: Serve) -> None:
    async def last(_request: Text, context: Context) -> Text:
        return Text(value=f"{call_id()} {context.time_remaining()}")

    behind = await serve(One=last, echo={"callers": frozenset({"echo"})}, as_service="echo")

    async def first(request: Text, _context: object) -> Text:
        answer = await behind.stub.One(request)
        return Text(value=f"{call_id()} {deadline.time_left()} {answer.value}")

    front = await serve(One=first)
    answer = (await front.stub.One(Text(), timeout=3)).value.split()
    assert answer[0] == answer[2]
    assert float(answer[3]) < 3 - SHAVED_SECONDS


async def test_error_raised_two_hops_away_arrives_unchanged(serve: Serve) -> None:
    async def last(_request: Text, _context: object) -> Text:
        raise DomainError(Reason.PROFILE_NOT_FOUND, profile_id="7")

    behind = await serve(One=last, echo={"callers": frozenset({"echo"})}, as_service="echo")

    async def first(request: Text, _context: object) -> Text:
        return Text(value=(await behind.stub.One(request)).value)

    front = await serve(One=first)
    with pytest.raises(DomainError) as caught:
        await front.stub.One(Text())
    assert (caught.value.reason, caught.value.metadata) == (Reason.PROFILE_NOT_FOUND, {"profile_id": "7"})


async def test_call_that_takes_too_long_says_which_dependency_did_not_answer(serve: Serve) -> None:
    async def never(_request: Text, _context: object) -> Text:
        await asyncio.get_running_loop().create_future()
        return Text()

    running = await serve(One=never)
    with pytest.raises(DomainError) as caught:
        await running.stub.One(Text(), timeout=0.3)
    assert (caught.value.reason, caught.value.metadata) == (Reason.DEPENDENCY_UNAVAILABLE, {"dependency": "echo"})


def failing(times: int, error: Callable[[Context], Awaitable[None]]) -> tuple[list[str], Any]:
    """A behaviour that fails so many times, and the list of its calls."""
    calls: list[str] = []

    async def one(request: Text, context: Context) -> Text:
        calls.append(request.value)
        if len(calls) <= times:
            await error(context)
        return Text(value="done")

    return calls, one


async def transport_failure(context: Context) -> None:
    """What a dying connection looks like: UNAVAILABLE without our ErrorInfo."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


async def own_failure(_context: Context) -> None:
    raise DomainError(Reason.INSTAGRAM_UNAVAILABLE)


@pytest.fixture
def idempotent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks every method as idempotent."""
    monkeypatch.setattr(client, "is_idempotent", lambda _: True)


@pytest.mark.usefixtures("idempotent")
async def test_idempotent_call_is_sent_again_when_the_connection_fails(serve: Serve) -> None:
    calls, one = failing(ATTEMPTS - 1, transport_failure)
    running = await serve(One=one)
    assert (await running.stub.One(Text())).value == "done"
    assert len(calls) == ATTEMPTS


@pytest.mark.usefixtures("idempotent")
async def test_attempts_are_limited(serve: Serve) -> None:
    calls, one = failing(99, transport_failure)
    running = await serve(One=one)
    with pytest.raises(DomainError) as caught:
        await running.stub.One(Text())
    assert (caught.value.reason, len(calls)) == (Reason.DEPENDENCY_UNAVAILABLE, ATTEMPTS)


@pytest.mark.usefixtures("idempotent")
async def test_service_that_answered_is_not_asked_again(serve: Serve) -> None:
    calls, one = failing(99, own_failure)
    running = await serve(One=one)
    with pytest.raises(DomainError) as caught:
        await running.stub.One(Text())
    assert (caught.value.reason, len(calls)) == (Reason.INSTAGRAM_UNAVAILABLE, 1)


async def test_call_that_may_have_been_seen_is_not_sent_again(serve: Serve) -> None:
    calls, one = failing(99, transport_failure)
    running = await serve(One=one)
    with pytest.raises(DomainError):
        await running.stub.One(Text())
    assert len(calls) == 1


def raw(channel: grpc.aio.Channel, **options: float) -> Awaitable[bytes]:
    """A call without serialisers."""
    call: Callable[..., Awaitable[bytes]] = channel.unary_unary("/test.v1.EchoService/One")
    return call(b"", **options)


async def test_call_that_was_never_sent_is_repeated_after_growing_pauses(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def noted(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)
    channels = Channels(settings("gateway"))
    with pytest.raises(DomainError) as caught:
        await raw(channels.to("echo", f"127.0.0.1:{free_port()}"), timeout=5)
    await channels.close()
    assert caught.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert len(pauses) == ATTEMPTS - 1
    assert all(0.5 <= pause / (0.05 * 2**attempt) <= 1.5 for attempt, pause in enumerate(pauses))


async def test_server_with_the_certificate_of_another_service_is_refused(serve: Serve, settings: Settings) -> None:
    running = await serve()
    channels = Channels(settings("gateway"))
    with pytest.raises(DomainError) as caught:
        await raw(channels.to("privacy", running.address), timeout=2)
    await channels.close()
    assert caught.value.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_error_of_the_uploading_side_reaches_it_unchanged(serve: Serve) -> None:
    async def broken() -> AsyncIterator[Text]:
        yield Text(value="a")
        raise KeyError("ours")

    running = await serve()
    with pytest.raises(KeyError, match="ours"):
        await running.stub.Upload(broken())


async def test_upload_ends_when_the_server_refuses_it(serve: Serve) -> None:
    async def refuse(requests: AsyncIterator[Text], _context: object) -> Text:
        async for _ in requests:
            raise DomainError(Reason.TASK_NOT_OWNED)
        return Text()

    async def endless() -> AsyncIterator[Text]:
        while True:
            yield Text(value="x" * 1000)

    running = await serve(Upload=refuse)
    with pytest.raises(DomainError) as caught:
        await running.stub.Upload(endless())
    assert caught.value.reason is Reason.TASK_NOT_OWNED


async def test_reader_that_leaves_early_cancels_the_stream(serve: Serve) -> None:
    ended = asyncio.Event()

    async def endless(_request: Text, _context: object) -> AsyncIterator[Text]:
        try:
            while True:
                yield Text(value="x")
        finally:
            ended.set()

    running = await serve(Many=endless)
    stream = running.stub.Many(Text())
    await anext(stream)
    await stream.aclose()
    await ended.wait()


async def test_client_that_cancels_ends_the_servicer(serve: Serve) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def wait(_request: Text, _context: object) -> Text:
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
            return Text()
        finally:
            ended.set()

    running = await serve(One=wait)
    call = asyncio.create_task(running.stub.One(Text()))
    await started.wait()
    call.cancel()
    await ended.wait()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_channel_to_the_same_place_is_shared(settings: Settings) -> None:
    channels = Channels(settings("gateway"))
    assert channels.to("stats", "127.0.0.1:1") is channels.to("stats", "127.0.0.1:1")
    assert channels.to("stats", "127.0.0.1:1") is not channels.to("stats", "127.0.0.1:2")
    await channels.close()


@pytest.fixture
def marked() -> str:
    """A method whose proto says that it may run twice."""
    file = FileDescriptorProto(name="test/marked.proto", package="test.marked", syntax="proto3")
    file.message_type.add(name="Empty")
    method = file.service.add(name="S").method.add(name="Put", input_type=".test.marked.Empty")
    method.output_type = method.input_type
    method.options.idempotency_level = MethodOptions.IDEMPOTENT
    descriptor_pool.Default().Add(file)
    return "/test.marked.S/Put"


def test_only_reads_and_methods_whose_proto_says_so_are_idempotent(marked: str) -> None:
    [service] = DESCRIPTOR.services_by_name.values()
    assert is_idempotent(f"/{service.full_name}/ListErasures")
    assert is_idempotent(marked)
    assert not is_idempotent(f"/{service.full_name}/UploadExport")
    assert not is_idempotent("/no.such.Service/Method")
