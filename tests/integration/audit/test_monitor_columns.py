"""Whatever value of whatever column somebody changes, the monitor finds and names it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from igstats_kit.sql import Database
from igstats_kit.tables import KIT_TABLES
from igstats_kit.testing.databases import Databases

from tests.integration.audit.columns import DRAWN, IGNORED, LESS, NOT_ABOUT_LOGS, Column
from tests.integration.audit.conftest import MOMENT, World
from tests.integration.audit.site import Site, built

EXAMPLES = 3
NAMED = {
    "heads": ("HEAD_CHANGED head", "CHECKPOINT_INVALID checkpoint"),
    "log_days": ("HEAD_CHANGED head", "LEAF_CHANGED entr"),
    "tiles": ("TILE_CHANGED tile/{0.level}/{0.place:03d}",),
    "data_keys": ("PAYLOAD_CHANGED entry", "LEAF_CHANGED entry"),
}
OF_AN_ENTRY = ("CHANGED entry {0.index}", "LEAF_CHANGED entries")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    url = await databases.fresh("audit")
    database = Database(url)
    try:
        made = await built(Site(World(database, tmp_path_factory.mktemp("monitor"))))
        await made.world.open().access.store.follows_stream(MOMENT)
        assert await made.found(remember=True) == []
        yield made
    finally:
        await database.close()
        await databases.drop(url)


async def test_every_column_of_the_database_is_drawn_or_has_a_reason(site: Site) -> None:
    rows = await site.world.ask(
        "SELECT c.table_name, c.column_name FROM information_schema.columns c"
        " JOIN pg_class p ON p.relname = c.table_name"
        " WHERE c.table_schema = current_schema() AND NOT p.relispartition AND NOT starts_with(c.table_name, 'cut_')"
        " AND c.table_name <> 'alembic_version'"
    )
    others = {table.name for table in KIT_TABLES} | NOT_ABOUT_LOGS.keys()
    drawn = {(column.table, column.name) for column in DRAWN}
    assert {(table, column) for table, column in rows if table not in others} == drawn | IGNORED.keys()
    assert all([*IGNORED.values(), *(less.reason for less in LESS.values()), *NOT_ABOUT_LOGS.values()])
    assert LESS.keys() <= drawn


@pytest.mark.parametrize("column", DRAWN, ids=lambda column: f"{column.table}.{column.name}")
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 127))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_changed_value_is_found_and_named(site: Site, column: Column, row: int, at: int, mask: int) -> None:
    table, name = column.table, column.name
    rows = await site.world.ask(f"SELECT *, ctid, tableoid FROM {table} WHERE {column.where} ORDER BY tableoid, ctid")  # noqa: S608 - own names
    chosen, damage = rows[row % len(rows)], column.damage.format(name, at=at, mask=mask)
    async with site.restored(table):
        changed = await site.changed(
            f"UPDATE {table} SET {name} = {damage} WHERE {damage} IS DISTINCT FROM {name}"  # noqa: S608 - own names
            f" AND ctid = '{chosen.ctid}' AND tableoid = {chosen.tableoid}"
        )
        found = await site.found()
    assert bool(found) == changed
    words = [one.format(chosen) for one in NAMED.get(table, OF_AN_ENTRY)]
    assert not changed or any(word in one for one in found for word in words), found
