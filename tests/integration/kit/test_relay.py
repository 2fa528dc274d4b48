"""The outbox's relay where things go wrong: outages, cancellations, processes that have ended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from igstats.event.v1.events_pb2 import SyncRequested
from igstats_kit import outbox
from igstats_kit.clock import SystemClock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus, Event
from igstats_kit.outbox import Posted, Relay, enqueue
from igstats_kit.sql import Database
from igstats_kit.tables import outbox as rows
from igstats_kit.testing.plugin import MakeDatabase
from sqlalchemy import func, select, text

_WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
_SLOW_COMMIT = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'
"""
_AT_COMMIT = """
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait()
"""


class Server:
    """Takes what is published, while it is there."""

    def __init__(self) -> None:
        self.away = False
        self.refused = 0
        self.came: list[str] = []
        self.news = asyncio.Condition()
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, event: Event) -> None:
        await self.open.wait()
        async with self.news:
            self.news.notify_all()
            if self.away:
                self.refused += 1
                raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="nats")
            self.came.append(event.id)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.news, asyncio.timeout(30):
            await self.news.wait_for(condition)

    async def until_it_has_refused(self, count: int) -> None:
        await self.until(lambda: self.refused >= count)


class World:
    """A relay at work."""

    def __init__(self, database: Database) -> None:
        self.database, self.server = database, Server()
        self.relay = Relay(database, cast("Bus", self.server), SystemClock())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        working = asyncio.create_task(self.relay.run())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def tell(self, *names: str) -> None:
        async with self.database.transaction() as connection:
            for name in names:
                await enqueue(connection, "subject", SyncRequested(connection_id=name), event_id=name)

    async def tell_as_somebody_who_has_ended(self, name: str) -> None:
        listeners, self.database.after_commit = self.database.after_commit, []
        await self.tell(name)
        self.database.after_commit = listeners

    async def came(self, name: str) -> None:
        await self.server.until(lambda: name in self.server.came)

    async def waiting(self) -> int:
        async with self.database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(rows)) or 0


@pytest.fixture
async def world(database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(outbox, "_RETRY_SECONDS", 0)
    return World(await database("kit"))


async def test_what_is_committed_during_an_outage_is_remembered_by_the_table_alone_and_goes_out_once(
    world: World,
) -> None:
    async with world.running():
        await world.tell("before")
        await world.came("before")
        world.server.away = True
        for name in ("a", "b", "c"):
            refused = world.server.refused
            await world.tell(name)
            await world.server.until_it_has_refused(refused + 2)
            assert world.relay._fresh == []
        world.server.away = False
        await world.came("c")
        await world.tell("after")
        await world.came("after")
    assert sorted(world.server.came) == ["a", "after", "b", "before", "c"]


async def test_news_that_are_too_many_to_remember_come_from_the_table(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_MOST", 2)
    async with world.running():
        await world.tell("first")
        await world.came("first")
        world.server.open.clear()
        for number in range(6):
            await world.tell(f"{number}")
            assert len(world.relay._fresh) <= 2
        world.server.open.set()
        await world.came("5")
    assert set(world.server.came) == {"first", *map(str, range(6))}


async def test_what_another_process_has_left_goes_out_however_busy_this_one_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0)
    async with world.running():
        await world.tell("first")
        await world.came("first")
        await world.tell_as_somebody_who_has_ended("left")
        async with world.database.transaction() as connection:
            await connection.execute(text("UPDATE outbox SET created_at = now() - interval '1 minute'"))
        for number in range(20):
            await world.tell(f"{number}")
            await world.came(f"{number}")
    assert "left" in world.server.came


async def test_what_others_have_just_committed_is_left_to_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0)
    async with world.running():
        await world.tell("first")
        await world.came("first")
        await world.tell_as_somebody_who_has_ended("young")
        for number in range(20):
            await world.tell(f"{number}")
            await world.came(f"{number}")
    assert "young" not in world.server.came


async def test_a_caller_that_is_cancelled_while_it_commits_has_told(world: World) -> None:
    told: list[Posted] = []
    world.database.after_commit.append(told.extend)
    async with world.database.transaction() as connection:
        await connection.execute(text(_SLOW_COMMIT))
        await connection.execute(text(_AT_COMMIT))
    async with world.database.transaction() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(7)"))
        telling = asyncio.create_task(world.tell("a"))
        while not await _somebody_waits(world.database):
            assert not telling.done()
        telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    assert await world.waiting() == 1
    assert [posted.event_id for posted in told] == ["a"]


async def _somebody_waits(database: Database) -> bool:
    async with database.read() as connection:
        return bool(await connection.scalar(_WAITS))
