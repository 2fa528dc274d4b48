"""The gateway's own methods: answered once or many times, within the time of the call."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from igstats.api.v1 import account_service_pb2 as pb
from igstats_gateway.local import Local
from igstats_gateway.model import Call, Caller, Client
from igstats_gateway.relay import Order
from igstats_gateway.routes import OURSELVES, routes
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock

EXPORT = "/igstats.api.v1.AccountService/ExportCalls"
LIST = "/igstats.api.v1.AccountService/ListCalls"


class World:
    """Methods that say what they were asked, and one that never ends."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        table = {name: route for name, route in routes().items() if route.upstream == OURSELVES}
        methods: dict[str, Any] = dict.fromkeys(table, self.one)
        self.local = Local(table, methods | {EXPORT: self.many})

    async def one(self, request: pb.ListCallsRequest, call: Call) -> pb.ListCallsResponse:
        return pb.ListCallsResponse(next_page_token=call.account_id)

    async def many(self, request: pb.ExportCallsRequest, call: Call) -> AsyncGenerator[pb.ExportCallsResponse, None]:
        try:
            yield pb.ExportCallsResponse(lines=b"first")
            if request.status:
                await asyncio.Event().wait()
            yield pb.ExportCallsResponse(lines=b"last")
        finally:
            self.left.set()


def order(method: str, body: bytes = b"", seconds: float = 10.0) -> Order:
    call = Call("req_1", "grpc", Client(), FakeClock().now())
    call.caller = Caller("acc_1", "key", frozenset())
    return Order(method, body, call, seconds)


async def test_a_method_is_told_its_call() -> None:
    reply = await World().local.unary(order(LIST))
    assert pb.ListCallsResponse.FromString(reply.body).next_page_token == "acc_1"


async def test_a_method_that_streams_answers_many_times() -> None:
    world = World()
    bodies = [body async for body in world.local.stream(order(EXPORT))]
    assert [pb.ExportCallsResponse.FromString(body).lines for body in bodies] == [b"first", b"last"]


async def test_a_stream_ends_when_its_time_is_over() -> None:
    world = World()
    bodies = world.local.stream(order(EXPORT, pb.ExportCallsRequest(status=5).SerializeToString(), 0.05))
    await anext(bodies)
    with pytest.raises(DomainError) as late:
        await anext(bodies)
    assert late.value.reason is Reason.DEADLINE_TOO_SHORT
    assert world.left.is_set()


async def test_whoever_leaves_a_stream_ends_it() -> None:
    world = World()
    bodies = world.local.stream(order(EXPORT))
    await anext(bodies)
    await bodies.aclose()
    assert world.left.is_set()


@pytest.mark.parametrize(("body", "reason"), [(b"\xff", Reason.BODY_INVALID), (b"\x10\xff\xff\xff\xff\x0f", None)])
async def test_bodies_are_checked_first(body: bytes, reason: Reason | None) -> None:
    with pytest.raises(DomainError) as refused:
        await World().local.unary(order(LIST, body))
    assert refused.value.reason is (reason or Reason.FIELD_INVALID)


async def test_every_own_route_needs_its_method() -> None:
    with pytest.raises(ValueError, match="routes and methods differ"):
        Local(routes(), {})
