"""Statements that the server gives up: whatever the way they went, workers wait and callers hear that it passes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from igstats_kit.errors import DomainError, Reason, TooMuchError, passes
from igstats_kit.sql import Database, fetch
from igstats_kit.testing.plugin import MakeDatabase
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

Run = Callable[[str], Awaitable[object]]
"""Runs a statement in the transaction that is open."""


@asynccontextmanager
async def _sqlalchemy(database: Database) -> AsyncIterator[Run]:
    async with database.transaction() as connection:
        yield lambda statement: connection.execute(text(statement))


@asynccontextmanager
async def _fetched(database: Database) -> AsyncIterator[Run]:
    async with database.transaction() as connection:
        yield lambda statement: fetch(connection, text(statement), {})


@asynccontextmanager
async def _direct(database: Database) -> AsyncIterator[Run]:
    async with database.direct().use() as connection, connection.transaction():
        yield connection.execute


Way = Callable[[Database], AbstractAsyncContextManager[Run]]
ways = pytest.mark.parametrize("way", [_sqlalchemy, _fetched, _direct])


async def _run(database: Database, way: Way, *statements: str) -> None:
    async with way(database) as run:
        for statement in statements:
            await run(statement)


@ways
async def test_a_statement_timeout_is_a_dependency_that_had_too_much_to_do(database: MakeDatabase, way: Way) -> None:
    made = await database("kit")
    with pytest.raises(TooMuchError) as given_up:
        await _run(made, way, "SET LOCAL statement_timeout = 1", "SELECT pg_sleep(60)")
    assert given_up.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert not passes(given_up.value), "the same again would take as long"
    await _run(made, way, "SELECT 1")


@ways
async def test_a_lock_timeout_passes(database: MakeDatabase, way: Way) -> None:
    made = await database("kit")
    async with made.transaction() as connection:
        await connection.execute(text("LOCK TABLE inbox"))
        with pytest.raises(DomainError) as given_up:
            await _run(made, way, "SET LOCAL lock_timeout = 1", "LOCK TABLE inbox")
    assert passes(given_up.value)


@ways
async def test_of_two_that_wait_for_each_other_one_goes_on_and_the_other_may_come_again(
    database: MakeDatabase, way: Way
) -> None:
    made, both = await database("kit"), asyncio.Barrier(2)

    async def crosswise(first: int, second: int) -> None:
        async with way(made) as run:
            await run(f"SELECT pg_advisory_xact_lock({first})")
            await both.wait()
            await run(f"SELECT pg_advisory_xact_lock({second})")

    ended = await asyncio.gather(crosswise(1, 2), crosswise(2, 1), return_exceptions=True)
    (given_up,) = [one for one in ended if one is not None]
    assert passes(given_up), given_up


@ways
async def test_a_transaction_that_cannot_be_put_in_order_with_another_may_come_again(
    database: MakeDatabase, way: Way
) -> None:
    made = await database("kit")
    await _run(made, way, "INSERT INTO holder_state (holder, erasure_sequence) VALUES ('toy', 1)")
    add = "UPDATE holder_state SET erasure_sequence = erasure_sequence + 1"

    async def add_to_what_was_seen_before() -> None:
        async with way(made) as run:
            await run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await run("SELECT erasure_sequence FROM holder_state")
            await _run(made, way, add)
            await run(add)

    with pytest.raises(DomainError) as given_up:
        await add_to_what_was_seen_before()
    assert passes(given_up.value)


@ways
async def test_a_statement_that_is_wrong_stays_the_fault_of_who_wrote_it(database: MakeDatabase, way: Way) -> None:
    made = await database("kit")
    with pytest.raises(DBAPIError):
        await _run(made, way, "SELECT nothing")


async def test_who_is_first_keeps_others_out_until_the_end(database: MakeDatabase) -> None:
    made = await database("kit")
    async with made.first("work") as mine, made.first("work") as other, made.first("other work") as apart:
        assert (mine, other, apart) == (True, False, True)
    async with made.first("work") as mine:
        assert mine
