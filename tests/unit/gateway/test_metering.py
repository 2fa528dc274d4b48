import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from igstats_gateway.metering import BATCH, SEAL_CONTEXT, Metering
from igstats_gateway.model import Call, Caller, CallRecord, Client
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_kit.testing.clock import FakeClock

SEALER = Sealer(b"a" * 32)


async def _turn() -> None:
    """Lets everybody else have a turn of the loop."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_soon(over.set_result, None)
    await over


class World:
    """Metering with a store that can fail."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.written: list[tuple[str, list[str]]] = []
        self.records: list[CallRecord] = []
        self.settled: list[str] = []
        self.failures = 0
        self.arrived = asyncio.Event()
        self.metering = Metering(self.write, SEALER, self.clock)

    async def write(self, batch_id: str, records: Sequence[CallRecord], *, settled: str) -> int:
        await _turn()
        self.settled.append(settled)
        if self.failures:
            self.failures -= 1
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE)
        self.written.append((batch_id, [record.call_id for record in records]))
        self.records += records
        self.arrived.set()
        return 0

    def note_stranger(self, number: int) -> None:
        self.metering.note(Call(f"req_s{number}", "http", Client(), self.clock.now()))

    def note(self, number: int) -> Call:
        call = Call(f"req_{number}", "http", Client("192.0.2.1", "curl/8"), self.clock.now(), "/a.B/C")
        call.caller = Caller("acc_1", "key", frozenset())
        self.metering.note(call)
        return call


@pytest.fixture
def world() -> World:
    return World()


async def test_a_record_says_what_happened_and_seals_where_from(world: World) -> None:
    call = Call("req_1", "grpc", Client("192.0.2.1", "curl/8"), world.clock.now(), "/a.B/C")
    call.fail(16, "API_KEY_MISSING")
    world.clock.advance(timedelta(microseconds=1500))
    world.metering.note(call)
    await world.metering.flush()
    [record] = world.records
    assert (record.account_id, record.status, record.reason, record.latency_us) == ("", 16, "API_KEY_MISSING", 1500)
    assert b"192.0.2.1" not in record.sealed_client
    client = json.loads(SEALER.open(record.sealed_client, SEAL_CONTEXT))
    assert client == {"ip_address": "192.0.2.1", "user_agent": "curl/8"}


async def test_records_are_written_in_batches_and_in_order(world: World) -> None:
    for number in range(BATCH + 10):
        world.note(number)
    await world.metering.flush()
    assert [len(ids) for _, ids in world.written] == [BATCH, 10]
    assert [one for _, ids in world.written for one in ids] == [f"req_{number}" for number in range(BATCH + 10)]


async def test_a_batch_that_failed_goes_again_under_the_same_id(world: World) -> None:
    world.failures = 1
    world.note(1)
    with pytest.raises(DomainError):
        await world.metering.flush()
    world.note(2)
    await world.metering.flush()
    assert world.written == [("req_1", ["req_1"]), ("req_2", ["req_2"])]


async def test_two_flushes_at_once_write_everything_once(world: World) -> None:
    world.note(1)
    await asyncio.gather(world.metering.flush(), world.metering.flush())
    assert world.written == [("req_1", ["req_1"])]


async def test_a_batch_is_settled_with_the_one_after_it_and_not_while_it_may_be_written_again(world: World) -> None:
    world.note(1)
    world.failures = 1
    with pytest.raises(DomainError):
        await world.metering.flush()
    await world.metering.flush()
    world.note(2)
    await world.metering.flush()
    assert world.settled == ["", "", "req_1"]


async def test_the_worker_writes_by_itself_and_outlives_failures(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igstats_gateway.metering._RETRY_SECONDS", 0)
    world.failures = 2
    worker = asyncio.create_task(world.metering.run())
    world.note(1)
    await asyncio.wait_for(world.arrived.wait(), 10)
    worker.cancel()
    assert world.written == [("req_1", ["req_1"])]


async def test_noting_never_fails_a_call_and_memory_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igstats_gateway.metering._CAPACITY", 2)
    for number in range(5):
        world.note(number)
    await world.metering.flush()
    assert len(world.records) == 2


async def test_strangers_displace_no_customers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igstats_gateway.metering._CAPACITY", 3)
    monkeypatch.setattr("igstats_gateway.metering._STRANGERS", 2)
    for number in range(10):
        world.note_stranger(number)
    for number in range(4):
        world.note(number)
    await world.metering.flush()
    assert world.written == [("req_0", ["req_0", "req_1", "req_2", "req_s0", "req_s1"])]


async def test_strangers_wait_for_the_batch_that_has_room(world: World) -> None:
    for number in range(BATCH):
        world.note_stranger(number)
    for number in range(10):
        world.note(number)
    await world.metering.flush()
    assert [len(ids) for _, ids in world.written] == [BATCH, 10]
    assert [one for _, ids in world.written for one in ids if "s" not in one] == [f"req_{n}" for n in range(10)]
    assert len({one for _, ids in world.written for one in ids}) == BATCH + 10
