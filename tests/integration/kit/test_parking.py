"""Parked events on a real database: asked for by hand, handled by the consumer that could not."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from igstats_kit import events
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus, Consumer, Event, Subscription, park, take_inbox
from igstats_kit.parking import Parking
from igstats_kit.sql import Database
from igstats_kit.tables import inbox, parked
from igstats_kit.testing.clock import FakeClock
from sqlalchemy import func, select

MakeBus = Callable[[str], Awaitable[Bus]]

READER = Subscription("SYNC", "stats-sync", "igstats.stats.v1.sync.requested")
EVENT = Event("event-1", READER.subject, "t", datetime(2026, 11, 1, tzinfo=UTC), b"data", attempts=8, sequence=41)


class Handler:
    """Counts what it did; fails as long as it is told to."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.error: Exception | None = None
        self.done: list[Event] = []
        self.tries = 0

    async def handle(self, batch: Sequence[Event]) -> None:
        self.tries += 1
        async with self.database.transaction() as connection:
            fresh = await take_inbox(connection, READER.durable, batch)
            if self.error is not None:
                raise self.error
        self.done += fresh


class World:
    """A consumer whose stream is not there, beside an event that it has parked."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self.database = database
        self.parking = Parking(database, FakeClock())
        self.handler = Handler(database)
        self._bus = bus

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[None]:
        consumer = Consumer(self._bus, self.database, READER, self.handler.handle)
        task = asyncio.ensure_future(consumer.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(30):
            while not wanted(found := list(await self.parking.listed())):  # noqa: ASYNC110 - only the database knows
                await asyncio.sleep(0.01)
        return found


@pytest.fixture
async def world(database: Callable[[str], Awaitable[Database]], bus: MakeBus, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(events, "_AGAIN_SECONDS", 0.01)
    made = World(await database("stats"), await bus("stats"))
    await park(made.database, READER.durable, EVENT, ValueError("never shown"))
    return made


async def test_a_parked_event_is_handled_again_as_it_was_and_then_stands_there_no_more(world: World) -> None:
    assert await world.parking.ask(EVENT.id) == (1, 0)
    async with world.consuming():
        assert await world.until(lambda rows: not rows) == []
    assert world.handler.done == [EVENT]


async def test_a_parked_event_that_nobody_asks_for_stays(world: World) -> None:
    await park(world.database, READER.durable, Event("event-2", READER.subject, "t", EVENT.time, b""), ValueError())
    await world.parking.ask("event-2")
    async with world.consuming():
        [left] = await world.until(lambda rows: len(rows) == 1)
    assert (left["event_id"], left["asked"]) == (EVENT.id, False)
    assert [event.id for event in world.handler.done] == ["event-2"]


async def test_an_event_that_fails_again_stays_parked_with_its_new_error_until_somebody_asks_again(
    world: World,
) -> None:
    world.handler.error = LookupError("never shown")
    await world.parking.ask(EVENT.id)
    async with world.consuming():
        [row] = await world.until(lambda rows: not rows[0]["asked"])
        assert (row["error"], row["attempts"]) == ("LookupError", 9)
        world.handler.error = None
        await world.parking.ask(EVENT.id)
        await world.until(lambda rows: not rows)
    assert (world.handler.done[0].id, world.handler.tries) == (EVENT.id, 2)


async def test_while_something_does_not_answer_what_was_asked_for_stays_asked_for(world: World) -> None:
    world.handler.error = DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="privacy")
    await world.parking.ask(EVENT.id)
    async with world.consuming():
        async with asyncio.timeout(30):
            while world.handler.tries < 2:  # noqa: ASYNC110 - the consumer tells nobody
                await asyncio.sleep(0.01)
        [row] = await world.parking.listed()
        assert (row["asked"], row["error"], row["attempts"]) == (True, "ValueError", 8)
        world.handler.error = None
        await world.until(lambda rows: not rows)
    assert world.handler.done == [EVENT]


async def test_an_effect_that_was_committed_before_the_process_died_is_not_made_twice(world: World) -> None:
    await world.handler.handle([EVENT])
    await world.parking.ask(EVENT.id)
    async with world.consuming():
        await world.until(lambda rows: not rows)
    assert world.handler.done == [EVENT]
    async with world.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(inbox)) == 1


async def test_what_had_its_place_in_a_stream_cannot_be_asked_for(world: World) -> None:
    await park(world.database, "audit-access", Event("call", "s", "t", EVENT.time, b""), ValueError(), repeatable=False)
    assert await world.parking.ask("call") == (0, 1)
    assert await world.parking.ask("nobody's") == (0, 0)
    assert [row["asked"] for row in await world.parking.listed()] == [False, False]


async def _command(monkeypatch: pytest.MonkeyPatch, database_url: str, *arguments: str) -> tuple[int | None, str, str]:
    monkeypatch.setenv("IGSTATS_STATS_DATABASE_URL", database_url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "igstats_kit", "parked", "stats", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    return process.returncode, output.decode(), complaint.decode()


async def test_an_operator_lists_parked_events_and_asks_for_one(
    config: Callable[[str], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await config("stats")).database_url
    database = Database(url, pool_size=1)
    try:
        await park(database, READER.durable, EVENT, ValueError())
        code, output, _ = await _command(monkeypatch, url, "list")
        shown = json.loads(output)
        assert (code, shown["event_id"], shown["error"], shown["asked"]) == (0, EVENT.id, "ValueError", False)
        assert "data" not in shown
        assert (await _command(monkeypatch, url, "again", EVENT.id))[0] == 0
        code, output, complaint = await _command(monkeypatch, url, "again", "nobody's")
        assert (code, output, complaint) == (1, "", "nothing was asked for\n")
        async with database.read() as connection:
            assert (await connection.execute(select(parked.c.asked_at))).scalar_one() is not None
    finally:
        await database.close()
