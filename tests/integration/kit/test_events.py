"""Facts on a real NATS server: published after the commit, handled once, parked when they cannot be handled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from igstats.event.v1.events_pb2 import SyncRequested
from igstats_kit import events
from igstats_kit.clock import SystemClock
from igstats_kit.declare import impersonal_store
from igstats_kit.errors import DomainError
from igstats_kit.events import (
    Bus,
    Consumer,
    Event,
    NotDurableError,
    Stream,
    Subscription,
    TooFewServersError,
    take_inbox,
)
from igstats_kit.outbox import Relay, enqueue
from igstats_kit.sql import Database
from igstats_kit.tables import inbox, outbox, parked
from igstats_kit.tail import Placed, Tail
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.nats import Nats
from sqlalchemy import Table, func, select
from structlog.testing import capture_logs

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]

SUBJECT = "igstats.stats.v1.sync.requested"
SYNC = Stream("SYNC", (SUBJECT,), timedelta(days=1), impersonal_store("test"))
READER = Subscription("SYNC", "stats-sync", SUBJECT)


async def _count(database: Database, table: Table) -> int:
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0


class Reader:
    """Handles events like a service does, and remembers what it did."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.handled: list[str] = []
        self.bad: set[str] = set()
        self.news = asyncio.Event()

    async def handle(self, batch: Sequence[Event]) -> None:
        async with self.database.transaction() as connection:
            fresh = await take_inbox(connection, READER.durable, batch)
            ids = [SyncRequested.FromString(event.data).connection_id for event in fresh]
            if self.bad & set(ids):
                raise ValueError("cannot be handled")
        self.handled += ids
        self.news.set()

    async def until(self, count: int) -> None:
        while len(self.handled) < count:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 30)


class Log:
    """Keeps its position itself, as the access log does."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.at = 0
        self.made_at: datetime | None = None
        self.news = asyncio.Event()

    async def position(self) -> int:
        return self.at

    async def handle(self, events: Sequence[Placed]) -> None:
        self.ids += [one.event.id for one in events]
        await self.skip(events[-1].position)
        self.news.set()

    async def skip(self, position: int) -> None:
        self.at = position

    async def follows(self, made_at: datetime) -> bool:
        self.made_at = self.made_at or made_at
        return self.made_at == made_at

    async def restart(self, made_at: datetime) -> None:
        self.at, self.made_at = 0, made_at

    async def until(self, *ids: str) -> None:
        while self.ids != list(ids):
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 30)


@asynccontextmanager
async def _running(*workers: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(worker()) for worker in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def stats(bus: MakeBus) -> Bus:
    made = await bus("stats")
    await made.ensure(SYNC)
    return made


async def _ask(database: Database, *names: str) -> None:
    async with database.transaction() as connection:
        for name in names:
            await enqueue(connection, SUBJECT, SyncRequested(connection_id=name), event_id=f"event-{name}")


async def test_a_fact_reaches_its_consumer_and_leaves_the_outbox(database: MakeDatabase, stats: Bus) -> None:
    kept = await database("stats")
    reader, relay = Reader(kept), Relay(kept, stats, SystemClock())
    consumer = Consumer(stats, kept, READER, reader.handle)
    async with _running(consumer.run, relay.run):
        await _ask(kept, "a", "b", "c")
        await reader.until(3)
        while await _count(kept, outbox):  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.01)
    assert sorted(reader.handled) == ["a", "b", "c"]
    assert await _count(kept, inbox) == 3


async def test_nothing_is_published_when_the_transaction_fails(database: MakeDatabase, stats: Bus) -> None:
    kept = await database("stats")

    async def write_and_fail() -> None:
        async with kept.transaction() as connection:
            await enqueue(connection, SUBJECT, SyncRequested(connection_id="a"))
            raise RuntimeError("after the write")

    with pytest.raises(RuntimeError):
        await write_and_fail()
    assert await Relay(kept, stats, SystemClock()).publish_batch() == 0
    assert (await stats.jetstream.stream_info("SYNC")).state.messages == 0


async def test_a_stream_that_should_be_on_more_servers_than_there_are_is_refused_in_words(stats: Bus) -> None:
    stats.replicas = 3
    for stream in (SYNC, Stream("PROFILES", ("igstats.stats.v1.profile.changed",), SYNC.max_age, SYNC.data)):
        with pytest.raises(TooFewServersError, match=f"stream {stream.name} needs 3 NATS servers"):
            await stats.ensure(stream)
    assert (await stats.jetstream.stream_info("SYNC")).config.num_replicas == 1


async def test_a_repeated_publish_is_stored_once(stats: Bus) -> None:
    event = Event("same", SUBJECT, "t", datetime.now(UTC), b"")
    await stats.publish(event)
    await stats.publish(event)
    assert (await stats.jetstream.stream_info("SYNC")).state.messages == 1


async def test_an_event_delivered_twice_is_handled_once(database: MakeDatabase) -> None:
    reader = Reader(await database("stats"))
    event = Event("same", SUBJECT, "t", datetime.now(UTC), SyncRequested(connection_id="a").SerializeToString())
    await reader.handle([event, event])
    await reader.handle([event])
    assert reader.handled == ["a"]


async def test_a_stream_that_the_broker_lost_is_read_from_its_start_when_it_is_longer_than_before(
    database: MakeDatabase, stats: Bus, nats: Nats, certificates: Authority
) -> None:
    log, kept = Log(), await database("stats")

    async def publish(*ids: str) -> None:
        for name in ids:
            await stats.publish(Event(name, SUBJECT, "t", datetime.now(UTC), b""))

    await publish("a", "b")
    async with _running(Tail(stats, kept, READER, log).run):
        await log.until("a", "b")
    async with _running(Tail(stats, kept, READER, log).run):
        await publish("c")
        await log.until("a", "b", "c")
    async with nats.operator(certificates.issue("operator")) as operator:
        await operator.jetstream().delete_stream("SYNC")
    await stats.ensure(SYNC)
    await publish("d", "e", "f", "g")
    async with _running(Tail(stats, kept, READER, log).run):
        await log.until(*"abcdefg")
    assert log.at == 4


async def test_a_bad_event_is_parked_and_harms_no_other(
    database: MakeDatabase, stats: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_RETRY_DELAYS", (0.01,))
    kept = await database("stats")
    reader = Reader(kept)
    reader.bad.add("poison")
    await _ask(kept, "a", "poison", "b")
    await Relay(kept, stats, SystemClock()).publish_batch()
    async with _running(Consumer(stats, kept, READER, reader.handle).run):
        await reader.until(2)
        while await _count(kept, parked) == 0:  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.01)
    async with kept.read() as connection:
        row = (await connection.execute(select(parked))).one()
    assert sorted(reader.handled) == ["a", "b"]
    assert (row.event_id, row.error) == ("event-poison", "ValueError")


async def test_a_stranger_cannot_publish_in_anothers_name(bus: MakeBus, stats: Bus) -> None:
    gateway = await bus("gateway")
    with capture_logs() as lines, pytest.raises(DomainError):
        await gateway.publish(Event("forged", SUBJECT, "t", datetime.now(UTC), b""))
    assert gateway.denied.is_set()
    [denied] = [line for line in lines if line["event"] == "nats denied"]
    assert (denied["step"], denied["topic"]) == ("publish", SUBJECT)
    assert (await stats.jetstream.stream_info("SYNC")).state.messages == 0


async def test_a_durable_server_proves_it(stats: Bus, nats: Nats) -> None:
    await stats.prove_durability(nats.monitor_url)


async def test_a_server_that_may_lose_what_it_acknowledged_is_refused_in_words(
    stats: Bus, nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_read_json", lambda url: {"jetstream": {"config": {"sync_always": False}}})
    with pytest.raises(NotDurableError, match="sync_interval: always"):
        await stats.prove_durability(nats.monitor_url)
