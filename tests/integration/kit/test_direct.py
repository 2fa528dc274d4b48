"""The driver's own connection, kept by one user: it commits by itself, heals, and says what it could not do."""

import pytest
from asyncpg import DataError
from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database, IntegrityError, driver, each, fetch
from igstats_kit.testing.plugin import MakeDatabase
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

_ADD = "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2)"
_TAKEN = text("INSERT INTO inbox (consumer, event_id) VALUES (:consumer, :event) RETURNING consumer, event_id")
_COUNT = text("SELECT count(*) FROM inbox")


async def _rows(database: Database) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(_COUNT) or 0)


async def test_a_statement_on_it_commits_by_itself(database: MakeDatabase) -> None:
    made = await database("kit")
    async with made.direct().use() as connection:
        await connection.execute(_ADD, "one", "e1")
        assert await _rows(made) == 1


async def test_it_stays_the_same_until_it_dies_and_then_is_another(database: MakeDatabase) -> None:
    made = await database("kit")
    direct = made.direct()
    async with direct.use() as connection:
        first = connection.get_server_pid()
    async with direct.use() as connection:
        assert connection.get_server_pid() == first
    with pytest.raises(DomainError) as lost:
        async with direct.use() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert lost.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    async with direct.use() as connection:
        assert connection.get_server_pid() != first


async def test_what_the_database_refuses_comes_out_as_it_is(database: MakeDatabase) -> None:
    direct = (await database("kit")).direct()
    async with direct.use() as connection:
        await connection.execute(_ADD, "one", "e1")
    with pytest.raises(IntegrityError):
        async with direct.use() as connection:
            await connection.execute(_ADD, "one", "e1")
    for wrong in ("e\0", 1):  # by the server, by the driver
        with pytest.raises(DataError):
            async with direct.use() as connection:
                await connection.execute(_ADD, "one", wrong)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    direct = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none").direct()
    with pytest.raises(DomainError) as lost:
        async with direct.use():
            pass
    assert lost.value.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_what_runs_on_the_driver_below_a_transaction_is_part_of_it(database: MakeDatabase) -> None:
    made = await database("kit")

    async def torn() -> None:
        async with made.transaction() as connection:
            await driver(connection).execute(_ADD, "one", "e1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await torn()
    assert await _rows(made) == 0


async def test_what_a_fetched_statement_finds_goes_by_name_and_what_it_writes_by_the_transaction(
    database: MakeDatabase,
) -> None:
    made = await database("kit")

    async def torn() -> None:
        async with made.transaction() as connection:
            [row] = await fetch(connection, _TAKEN, {"consumer": "one", "event": "e1", "unknown": 0})
            assert (row.consumer, row[1], *row) == ("one", "e1", "one", "e1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await torn()
    assert await _rows(made) == 0
    async with made.statement() as connection:
        await fetch(connection, _TAKEN, {"consumer": "one", "event": "e1"})
    assert await _rows(made) == 1


async def test_a_connection_that_dies_in_a_fetched_statement_is_not_used_again(database: MakeDatabase) -> None:
    made = await database("kit")
    for block in (made.transaction, made.statement, made.read):
        with pytest.raises(DomainError) as lost:
            async with block() as connection:
                await fetch(connection, text("SELECT pg_terminate_backend(pg_backend_pid())"), {})
        assert lost.value.reason is Reason.DEPENDENCY_UNAVAILABLE
        assert await _rows(made) == 0


async def test_a_fetched_statement_that_is_wrong_is_no_server_that_is_away(database: MakeDatabase) -> None:
    made = await database("kit")
    with pytest.raises(DBAPIError):
        async with made.transaction() as connection:
            await fetch(connection, text("SELECT nothing"), {})


async def test_rows_that_come_page_by_page_all_come_in_order_and_a_wrong_statement_is_no_server_that_is_away(
    database: MakeDatabase,
) -> None:
    made = await database("kit")
    numbers = text("SELECT n, n * 2 AS twice FROM generate_series(1, CAST(:last AS int)) AS n")
    for last in (0, 1, 2, 3, 7):
        async with made.transaction() as connection:
            found = [(row.n, row.twice) async for row in each(connection, numbers, {"last": last}, 3)]
        assert found == [(n, n * 2) for n in range(1, last + 1)]
    late = text("SELECT 1 / (5 - n) AS part FROM generate_series(1, 9) AS n")
    for query, error in ((text("SELECT nothing"), DBAPIError), (late, DataError)):
        with pytest.raises(error):
            async with made.transaction() as connection:
                assert [row.part async for row in each(connection, query, {}, 3)] == []
