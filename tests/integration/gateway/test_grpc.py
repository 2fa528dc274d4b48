"""The public gRPC port."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeAlias

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from igstats.api.v1.account_service_pb2 import GetAccountRequest, GetAccountResponse, ListCallsRequest
from igstats.api.v1.account_service_pb2_grpc import AccountServiceStub
from igstats.api.v1.request_service_pb2 import WatchRequestRequest
from igstats.api.v1.request_service_pb2_grpc import RequestServiceStub
from igstats.api.v1.stats_service_pb2 import GetProfileRequest
from igstats.api.v1.stats_service_pb2_grpc import StatsServiceStub
from igstats_kit.status import DETAILS

# What conftest.py makes; a test folder is no package to import from.
Gateway: TypeAlias = Any
# Generated stubs are typed for synchronous channels only.
Stub: TypeAlias = Any


def _stats(gateway: Gateway) -> Stub:
    return StatsServiceStub(gateway.channel)


def _requests(gateway: Gateway) -> Stub:
    return RequestServiceStub(gateway.channel)


def _accounts(gateway: Gateway) -> Stub:
    return AccountServiceStub(gateway.channel)


def _info(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    status = Status.FromString(dict(error.trailing_metadata() or ())[DETAILS])
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason, dict(info.metadata)


async def _refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_call_reaches_its_service_and_the_answer_comes_back_unchanged(gateway: Gateway) -> None:
    call = _stats(gateway).GetProfile(GetProfileRequest(profile="natgeo"), metadata=gateway.metadata)
    answer = await call
    assert (answer.profile.username, answer.profile.followers.value) == ("natgeo", 1234)
    assert dict(await call.trailing_metadata())["x-served-by"] == "stats-1"
    initial = dict(await call.initial_metadata())
    assert initial["request-id"].startswith("req_")
    assert initial["ratelimit-policy"] == '"minute";q=600;w=60'
    assert initial["ratelimit"].startswith('"minute";r=599;t=')


async def test_identity_is_told_by_us_and_never_by_the_client(gateway: Gateway) -> None:
    forged = (*gateway.metadata, ("x-igstats-account-id", "acc_other"), ("x-igstats-admin", "1"), ("traceparent", "00"))
    await _stats(gateway).GetProfile(GetProfileRequest(profile="a"), metadata=forged)
    [seen] = gateway.others.metadata
    assert seen["x-igstats-account-id"] == gateway.account.account_id
    assert seen["x-igstats-key-id"] == gateway.account.key_id
    assert "stats:read" in seen["x-igstats-scopes"].split()
    assert seen["x-igstats-call-id"].startswith("req_")
    assert seen["traceparent"] == "00"
    assert "authorization" not in seen
    assert "x-igstats-admin" not in seen


async def test_deadlines_are_passed_on_and_capped(gateway: Gateway) -> None:
    stub = _stats(gateway)
    for wanted in (2.0, None, 3600.0):
        await stub.GetProfile(GetProfileRequest(profile="a"), metadata=gateway.metadata, timeout=wanted)
    short, default, long = gateway.others.seconds
    assert 1.0 < short < 3.0
    assert 25.0 < default < 32.0
    assert 25.0 < long < 32.0


async def test_errors_of_services_arrive_as_they_were_made(gateway: Gateway) -> None:
    stub = _stats(gateway)
    error = await _refused(stub.GetProfile(GetProfileRequest(profile="ghost"), metadata=gateway.metadata))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert _info(error) == ("PROFILE_NOT_FOUND", {"hint": "look"})


async def test_texts_from_inside_do_not_get_out(gateway: Gateway) -> None:
    stub = _stats(gateway)
    error = await _refused(stub.GetProfile(GetProfileRequest(profile="crash"), metadata=gateway.metadata))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "inside" not in (error.details() or "")
    assert _info(error)[0] == "INTERNAL"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ((), "API_KEY_MISSING"),
        ((("authorization", "Basic abc"),), "API_KEY_MISSING"),
        ((("authorization", "Bearer abc"),), "API_KEY_MALFORMED"),
    ],
)
async def test_without_a_key_nothing_gets_in(
    gateway: Gateway, header: tuple[tuple[str, str], ...], reason: str
) -> None:
    error = await _refused(_stats(gateway).GetProfile(GetProfileRequest(profile="a"), metadata=header))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert _info(error)[0] == reason
    assert gateway.others.requests == []


async def test_unknown_methods_are_refused_in_words(gateway: Gateway) -> None:
    call = gateway.channel.unary_unary("/igstats.api.v1.StatsService/Nothing")
    error = await _refused(call(b"", metadata=gateway.metadata))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert _info(error)[0] == "METHOD_UNKNOWN"


async def test_internal_methods_cannot_be_reached_from_outside(gateway: Gateway) -> None:
    call = gateway.channel.unary_unary("/igstats.holder.v1.HolderTasksService/LeaseTasks")
    assert _info(await _refused(call(b"", metadata=gateway.metadata)))[0] == "METHOD_UNKNOWN"


async def test_our_own_service_is_behind_the_same_door(gateway: Gateway) -> None:
    stub = _accounts(gateway)
    answer: GetAccountResponse = await stub.GetAccount(GetAccountRequest(), metadata=gateway.metadata)
    assert answer.account.account_id == gateway.account.account_id
    assert _info(await _refused(stub.GetAccount(GetAccountRequest())))[0] == "API_KEY_MISSING"


async def test_bytes_that_are_no_message_are_refused(gateway: Gateway) -> None:
    call = gateway.channel.unary_unary("/igstats.api.v1.AccountService/RevokeKey")
    assert _info(await _refused(call(b"\xff\xff", metadata=gateway.metadata)))[0] == "BODY_INVALID"
    assert _info(await _refused(call(b"", metadata=gateway.metadata)))[0] == "FIELD_INVALID"


async def test_a_stream_is_relayed_to_its_end_and_to_its_error(gateway: Gateway) -> None:
    stub = _requests(gateway)
    call = stub.WatchRequest(WatchRequestRequest(request_id="x"), metadata=gateway.metadata)
    assert [answer.request.state async for answer in call] == ["RECEIVED", "ACCEPTED"]
    broken = stub.WatchRequest(WatchRequestRequest(request_id="broken"), metadata=gateway.metadata)
    assert [(await broken.read()).request.state for _ in range(2)] == ["RECEIVED", "ACCEPTED"]
    assert _info(await _refused(broken.read())) == ("DEPENDENCY_UNAVAILABLE", {"dependency": "nats"})


async def test_a_client_that_leaves_ends_the_call_inside(gateway: Gateway) -> None:
    call = _requests(gateway).WatchRequest(WatchRequestRequest(request_id="open"), metadata=gateway.metadata)
    await call.read()
    call.cancel()
    await asyncio.wait_for(gateway.others.left.wait(), 10)


async def test_a_service_that_does_not_answer_is_named(gateway: Gateway) -> None:
    await gateway.others.servers["stats"].stop(None)
    error = await _refused(_stats(gateway).GetProfile(GetProfileRequest(profile="a"), metadata=gateway.metadata))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert _info(error) == ("DEPENDENCY_UNAVAILABLE", {"dependency": "stats"})


@pytest.mark.parametrize("minute_units", [10])  # two such calls; the third fits half a minute later
async def test_too_many_calls_are_told_when_to_come_back(gateway: Gateway) -> None:
    stub = _accounts(gateway)
    for _ in range(2):
        await stub.ListCalls(ListCallsRequest(), metadata=gateway.metadata)
    error = await _refused(stub.ListCalls(ListCallsRequest(), metadata=gateway.metadata))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert _info(error) == ("RATE_LIMITED", {"policy": "minute"})
    status = Status.FromString(dict(error.trailing_metadata() or ())[DETAILS])
    assert any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)
    left, wait = dict(error.initial_metadata() or ())["ratelimit"].removeprefix('"minute";r=').split(";t=")
    assert int(left) < 5
    assert 0 < int(wait) <= 30
