import asyncio

import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database
from igstats_kit.testing.plugin import MakeDatabase
from sqlalchemy import text

_RUNNING = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")


async def _wait_for_ever(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("SELECT pg_sleep(25)"))


async def _running(database: Database) -> bool:
    async with database.read() as connection:  # a new transaction each time: one sees one state of the server
        return bool(await connection.scalar(_RUNNING))


async def test_a_transaction_cancelled_in_a_statement_ends_as_cancelled(database: MakeDatabase) -> None:
    """Whatever rolling back does: a worker that saw another error would go on and never end."""
    made = await database("kit")
    waiting = asyncio.create_task(_wait_for_ever(made))
    while not await _running(made):
        assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with made.transaction() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_a_connection_that_dies_in_a_single_statement_ends_as_a_dependency_that_is_away(
    database: MakeDatabase,
) -> None:
    made = await database("kit")
    with pytest.raises(DomainError) as refused:
        async with made.statement() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert refused.value.reason is Reason.DEPENDENCY_UNAVAILABLE
