"""The gRPC port waits for a request for a while only, and gives one connection some of its places only."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import pytest
from igstats_gateway.authentication import Authentication
from igstats_gateway.config import GatewayConfig
from igstats_gateway.door import Door
from igstats_gateway.grpc_face import PublicMethods
from igstats_gateway.keys import Pepper, make
from igstats_gateway.limits import AddressLimits, Limits, minute
from igstats_gateway.listeners import GrpcListener
from igstats_gateway.metering import Metering
from igstats_gateway.model import CallRecord, Policy, Spending, StoredKey
from igstats_gateway.relay import Order, Reply
from igstats_gateway.routes import routes
from igstats_kit.clock import SystemClock
from igstats_kit.errors import Reason
from igstats_kit.seal import Sealer
from igstats_kit.status import from_rpc_error
from igstats_kit.testing.certificates import Authority

UNARY = "/igstats.api.v1.StatsService/GetProfile"
STREAM = "/igstats.api.v1.RequestService/WatchRequest"
PATIENT = 3600.0
LOCAL = (("grpc.use_local_subchannel_pool", 1),)

# The stubs of gRPC type no calls of bytes without a serializer.
Channel: TypeAlias = Any
Call: TypeAlias = Any


class World:
    """A port before upstreams that repeat what they are sent; calls of b"wait" wait."""

    def __init__(self, certificates: Authority, receive: float, streams: int) -> None:
        clock, pepper, self.key = SystemClock(), Pepper(b"p" * 32), make()
        self.scopes = tuple({route.rule.scope for route in routes().values()})
        self.digest = pepper.digest(self.key)
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self.records: list[CallRecord] = []
        self.opted_out: list[str] = []
        self.certificates = certificates
        authentication = Authentication(self._find, pepper, clock)
        metering = Metering(self._write, Sealer(b"a" * 32), clock)
        strangers = AddressLimits(minute(600), clock)
        door = Door(
            authentication, Limits(self._spend, minute(600), clock), strangers, metering, clock, self.opted_out.append
        )
        upstreams = {"gateway": self, "stats": self, "privacy": self}
        methods = PublicMethods(routes(), door, upstreams, unary=PATIENT, stream=PATIENT, receive=receive)
        issued = certificates.issue("gateway")
        config = GatewayConfig.model_construct(
            public_grpc_listen="127.0.0.1:0",
            public_tls_cert=issued.certificate,
            public_tls_key=issued.key,
            drain_seconds=0.0,
        )
        self.listener = GrpcListener(config, methods, streams=streams)

    async def _find(self, key_id: str) -> StoredKey:
        return StoredKey(key_id, "acc_1", self.digest, "", self.scopes, SystemClock().now())

    async def _spend(self, _account_id: str, policy: Policy, cost: int, _now: object) -> Spending:
        return Spending(policy, granted=True, cost=cost, full_in=0.0)

    async def _write(self, batch_id: str, records: Sequence[CallRecord], *, settled: str) -> int:
        assert batch_id != settled
        self.records += records
        return 0

    async def unary(self, order: Order) -> Reply:
        self.reached.set()
        if order.body == b"wait":
            await self.go_on.wait()
        return Reply(order.body)

    async def stream(self, order: Order) -> AsyncGenerator[bytes, None]:
        yield order.body

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.key.text}"),)

    def channel(self) -> Channel:
        credentials = grpc.ssl_channel_credentials(self.certificates.certificate.read_bytes())
        return grpc.aio.secure_channel(f"127.0.0.1:{self.listener.port}", credentials, options=LOCAL)


@asynccontextmanager
async def _serving(certificates: Authority, receive: float, streams: int = 100) -> AsyncIterator[World]:
    world = World(certificates, receive, streams)
    await world.listener.start()
    try:
        yield world
    finally:
        world.go_on.set()
        await world.listener.stop()


async def _refusal(call: Awaitable[object]) -> Reason:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_a_call_whose_message_does_not_come_ends(certificates: Authority, method: str) -> None:
    async with _serving(certificates, 0.05) as world, world.channel() as channel:
        assert await _refusal(channel.stream_unary(method)(metadata=world.metadata)) is Reason.REQUEST_INCOMPLETE
        assert not world.reached.is_set()


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_a_call_without_a_message_ends_at_once(certificates: Authority, method: str) -> None:
    async with _serving(certificates, PATIENT) as world, world.channel() as channel:
        call: Call = channel.stream_unary(method)(metadata=world.metadata)
        await call.done_writing()
        assert await _refusal(call) is Reason.REQUEST_INCOMPLETE


async def test_silent_calls_give_their_places_back(certificates: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igstats_gateway.listeners._MAX_RUNNING", 3)
    async with _serving(certificates, 0.05) as world, world.channel() as silent, world.channel() as channel:
        calls = [silent.stream_unary(UNARY)() for _ in range(3)]
        assert {await _refusal(call) for call in calls} == {Reason.REQUEST_INCOMPLETE}
        assert await channel.unary_unary(UNARY)(b"here", metadata=world.metadata) == b"here"


async def test_a_call_that_has_begun_may_last(certificates: Authority) -> None:
    """The silent call begins later and ends; the other one has waited longer than that."""
    async with _serving(certificates, 0.05) as world, world.channel() as channel:
        call: Call = channel.unary_unary(UNARY)(b"wait", metadata=world.metadata)
        await world.reached.wait()
        assert await _refusal(channel.stream_unary(UNARY)()) is Reason.REQUEST_INCOMPLETE
        assert not call.done()
        world.go_on.set()
        assert await call == b"wait"


async def test_a_stream_answers_what_it_was_asked(certificates: Authority) -> None:
    async with _serving(certificates, PATIENT) as world, world.channel() as channel:
        call: Call = channel.unary_stream(STREAM)(b"ask", metadata=world.metadata)
        assert [part async for part in call] == [b"ask"]


async def test_one_connection_does_not_get_all_places(certificates: Authority) -> None:
    async with _serving(certificates, PATIENT, streams=1) as world, world.channel() as one, world.channel() as other:
        first: Call = one.unary_unary(UNARY)(b"wait", metadata=world.metadata)
        await world.reached.wait()
        second: Call = one.unary_unary(UNARY)(b"second", metadata=world.metadata)
        assert await other.unary_unary(UNARY)(b"third", metadata=world.metadata) == b"third"
        assert not second.done()
        world.go_on.set()
        assert (await first, await second) == (b"wait", b"second")
