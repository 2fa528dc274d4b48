"""A restriction in every declared store of every holder: no purge takes what is restricted, and own exports have it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from igstats_audit.tables import DECLARATIONS as AUDIT
from igstats_gateway.declarations import DECLARATIONS as GATEWAY
from igstats_kit.declare import Declarations
from igstats_kit.retention import RetentionWorker
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.testing.canaries import Canary, exported
from igstats_kit.testing.clock import FakeClock
from igstats_privacy.declarations import DECLARATIONS as PRIVACY
from igstats_stats.tables import DECLARATIONS as STATS
from sqlalchemy import Table, func, select

HOLDERS = {"audit": AUDIT, "gateway": GATEWAY, "privacy": PRIVACY, "stats": STATS}
LATER = datetime(2099, 1, 1, tzinfo=UTC)
MakeDatabase = Callable[[str], Awaitable[Database]]


class Scene:
    """Ada has restricted processing, Bob has not; both are in every store."""

    def __init__(self, holder: str, database: Database) -> None:
        self.declarations: Declarations = HOLDERS[holder]
        self.holder = holder
        self.database = database
        self.ada = Canary("ada", 1, (b"a" * 32, b"A" * 32, b"1" * 32))
        self.bob = Canary("bob", 2, (b"b" * 32, b"B" * 32, b"2" * 32))
        self.subjects = Subjects(self.declarations, Sealer(b"s" * 32))
        self.case = Case("req_1", tuple(self.ada.tokens))

    async def seed(self) -> None:
        async with self.database.transaction() as connection:
            for person in (self.ada, self.bob):
                await person.seed(connection, self.declarations)
            await self.subjects.restrict(connection, [self.case])

    async def count(self, table: Table) -> int:
        async with self.database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(table)) or 0

    async def purge(self) -> None:
        await RetentionWorker(self.holder, self.declarations, self.database, FakeClock(LATER)).run_once()


@pytest.fixture(params=sorted(HOLDERS))
async def scene(request: pytest.FixtureRequest, database: MakeDatabase) -> Scene:
    made = Scene(request.param, await database(request.param))
    await made.seed()
    return made


async def test_a_purge_takes_what_is_old_of_everybody_but_the_restricted(scene: Scene) -> None:
    expiring = [
        (table, store.retention)
        for table, store in scene.declarations.stores()
        if store.subjects and store.retention.days is not None and not store.retention.own
    ]
    await scene.purge()
    assert {table.name: await scene.count(table) for table, _ in expiring} == {table.name: 1 for table, _ in expiring}
    async with scene.database.transaction() as connection:
        await scene.subjects.lift(connection, [scene.case])
    await scene.purge()
    assert {table.name: await scene.count(table) for table, _ in expiring} == {table.name: 0 for table, _ in expiring}


async def test_what_an_erasure_leaves_of_somebody_restricted_ages_as_everybodys(scene: Scene) -> None:
    async with scene.database.transaction() as connection:
        await scene.subjects.erase(connection, [scene.case])
    await scene.purge()
    left = {
        table.name: await scene.count(table)
        for table, store in scene.declarations.stores()
        if store.subjects and store.retention.days is not None and not store.retention.own
    }
    assert left == dict.fromkeys(left, 0)


async def test_the_persons_own_access_goes_on_and_shows_nobody_else(scene: Scene) -> None:
    async with scene.database.transaction() as connection:
        rows = [row async for row in scene.subjects.export(connection, [scene.case])]
    whole = str(rows)
    assert "canary-bob" not in whole
    assert [canary for canary in exported(scene.declarations, scene.ada) if canary not in whole] == []
