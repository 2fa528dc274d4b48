from collections.abc import Awaitable, Callable
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from igstats_gateway.declarations import DECLARATIONS
from igstats_gateway.tables import metadata
from igstats_kit.sql import Database
from igstats_kit.tables import KIT_METADATA
from sqlalchemy import Connection, MetaData


def _differences(connection: Connection) -> list[Any]:
    both = MetaData()
    for table in (*KIT_METADATA.sorted_tables, *metadata.sorted_tables):
        table.to_metadata(both)
    found: list[Any] = compare_metadata(MigrationContext.configure(connection), both)
    return found


async def test_the_migrations_make_exactly_the_tables_that_the_code_declares(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    async with (await database("gateway")).read() as connection:
        assert await connection.run_sync(_differences) == []


def test_every_column_and_stream_says_what_it_holds() -> None:
    assert DECLARATIONS.problems() == []
    assert set(DECLARATIONS.streams) == {"ACCESS"}
