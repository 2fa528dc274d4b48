"""A rotation of the key of the day that is killed: at each of its steps, and as a process at any moment."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.key_store import DataKeyTable, RotationTurn
from igstats_audit.keyring import unwrap
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.model import DataKey, Log, Subject
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.testing.clock import FakeClock
from sqlalchemy import text

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeUrl = Callable[[str], Awaitable[str]]
SUBJECTS = [Subject(f"s{number}", number.to_bytes(32)) for number in range(5)]
DAY = timedelta(days=1)


class KilledError(BaseException):
    pass


class Killer:
    """Counts the steps of a rotation and kills at one of them; None only counts."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps - 1 == self.at:
            raise KilledError


class KilledStore(FileKeyStore):
    """Dies before or after it has made or destroyed a key."""

    def __init__(self, directory: Path, killer: Killer) -> None:
        super().__init__(directory)
        self._killer = killer

    def create(self) -> str:
        self._killer.step()
        kek_id = super().create()
        self._killer.step()
        return kek_id

    def destroy(self, kek_id: str) -> None:
        self._killer.step()
        super().destroy(kek_id)
        self._killer.step()


class KilledTable(DataKeyTable):
    """Dies before, within and after each transaction."""

    def __init__(self, database: Database, killer: Killer) -> None:
        super().__init__(database)
        self._killer = killer

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[RotationTurn]:
        self._killer.step()
        async with super().turn() as turn:
            yield turn
            self._killer.step()
        self._killer.step()


async def all_of(keys: DataKeys, database: Database) -> dict[Subject, DataKey]:
    async with database.transaction() as connection:
        return await keys.of(connection, Log.ACCESS, SUBJECTS)


async def wrapped_under(database: Database) -> set[str]:
    async with database.read() as connection:
        return set((await connection.execute(text("SELECT kek_id FROM data_keys"))).scalars())


async def rotate(database: Database, folder: Path, clock: FakeClock, killer: Killer) -> bool:
    """Rotates as a process that may die; answers whether it lived."""
    keys = DataKeys(KilledStore(folder, killer), KilledTable(database, killer), clock, batch=2)
    try:
        await keys.rotate()
    except KilledError:
        return False
    return True


async def test_killed_at_any_step_nothing_is_lost_and_the_next_run_ends_it(
    database: MakeDatabase, tmp_path: Path
) -> None:
    own, clock, store = await database("audit"), FakeClock(), FileKeyStore(tmp_path / "keys")
    table, counted = DataKeyTable(own), Killer(None)
    await DataKeys(store, table, clock).ready()
    expected = await all_of(DataKeys(store, table, clock), own)
    clock.advance(DAY)
    assert await rotate(own, tmp_path / "keys", clock, counted)
    assert counted.steps > 15
    for at in range(counted.steps):
        clock.advance(DAY)
        assert not await rotate(own, tmp_path / "keys", clock, Killer(at))
        assert await wrapped_under(own) <= set(store.ids())
        assert await all_of(DataKeys(store, table, clock), own) == expected
        await DataKeys(store, table, clock, batch=2).rotate()
        assert [*await wrapped_under(own)] == store.ids()
        assert await all_of(DataKeys(store, table, clock), own) == expected


ENDLESS = """
import asyncio, sys
from datetime import datetime, timedelta
from pathlib import Path
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_kit.sql import Database
from igstats_kit.testing.clock import FakeClock

async def rotate_for_ever(url, folder, start):
    clock = FakeClock(datetime.fromisoformat(start))
    keys = DataKeys(FileKeyStore(Path(folder)), DataKeyTable(Database(url)), clock, batch=1)
    while True:
        clock.advance(timedelta(days=1))
        await keys.rotate()
        print(clock.now().isoformat(), flush=True)

asyncio.run(rotate_for_ever(*sys.argv[1:]))
"""


@pytest.mark.parametrize("rotations", [1, 2, 3])
async def test_a_process_that_is_killed_while_it_rotates_loses_nothing(
    database: MakeDatabase, database_url: MakeUrl, tmp_path: Path, rotations: int
) -> None:
    own, clock, store = await database("audit"), FakeClock(), FileKeyStore(tmp_path / "keys")
    keys = DataKeys(store, DataKeyTable(own), clock)
    await keys.ready()
    expected = await all_of(keys, own)
    seen = await asyncio.to_thread(
        _rotated_until_killed, [await database_url("audit"), str(tmp_path / "keys"), clock.now().isoformat()], rotations
    )
    assert await wrapped_under(own) <= set(store.ids())
    clock.advance(DAY * (seen + 2))
    late = DataKeys(store, DataKeyTable(own), clock)
    assert await all_of(late, own) == expected
    await late.rotate()
    assert [*await wrapped_under(own)] == store.ids()
    assert await all_of(late, own) == expected


def _rotated_until_killed(arguments: list[str], rotations: int) -> int:
    """Kills the process when it has said often enough that it has rotated; it is at the next one then."""
    command = [sys.executable, "-c", ENDLESS, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(rotations):
            assert process.stdout.readline()
        process.kill()
        return rotations + len(process.stdout.readlines())


async def damage(database: Database, subject: str, how: str) -> None:
    async with database.transaction() as connection:
        statement = f"UPDATE data_keys SET {how} WHERE subject = :subject"  # noqa: S608 - our own words
        await connection.execute(text(statement), {"subject": subject})


FLIPPED = "wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1)"
NOWHERE = "kek_id = 'kek_00000000000000000000000000'"


@pytest.mark.parametrize("how", [FLIPPED, NOWHERE])
async def test_a_damaged_data_key_does_not_keep_the_days_of_others_from_ending(
    database: MakeDatabase, tmp_path: Path, how: str
) -> None:
    own, clock, store = await database("audit"), FakeClock(), FileKeyStore(tmp_path / "keys")
    keys = DataKeys(store, DataKeyTable(own), clock, batch=2)
    await keys.ready()
    expected = await all_of(keys, own)
    first = store.ids()
    await damage(own, "s0", how)
    for _ in range(3):
        clock.advance(DAY)
        with pytest.raises(KeyDamagedError, match=expected[SUBJECTS[0]].key_id):
            await keys.rotate()
        spared = first if how == FLIPPED else []
        assert len(store.ids()) == len(spared) + 1
        assert set(spared) < set(store.ids())
        async with own.read() as connection:
            whole = await connection.execute(text("SELECT DISTINCT kek_id FROM data_keys WHERE subject <> 's0'"))
            assert list(whole.scalars()) == store.ids()[-1:]
    for replica in (keys, DataKeys(store, DataKeyTable(own), clock)):
        with contextlib.suppress(KeyDamagedError):
            await replica.rotate()
        async with own.transaction() as connection:
            others = await replica.of(connection, Log.ACCESS, SUBJECTS[1:])
            assert others == {one: key for one, key in expected.items() if one != SUBJECTS[0]}
            with pytest.raises(KeyDamagedError) as refused:
                await replica.of(connection, Log.ACCESS, SUBJECTS)
        assert refused.value.subjects == {"s0"}


async def test_a_damaged_data_key_that_is_mended_is_wrapped_again_like_any_other(
    database: MakeDatabase, tmp_path: Path
) -> None:
    own, clock, store = await database("audit"), FakeClock(), FileKeyStore(tmp_path / "keys")
    keys = DataKeys(store, DataKeyTable(own), clock, batch=2)
    await keys.ready()
    expected = await all_of(keys, own)
    await damage(own, "s0", FLIPPED)
    for _ in range(2):
        clock.advance(DAY)
        with pytest.raises(KeyDamagedError):
            await keys.rotate()
    await damage(own, "s0", FLIPPED)
    await keys.rotate()
    assert [*await wrapped_under(own)] == store.ids()
    assert await all_of(keys, own) == expected


async def test_when_half_of_the_data_keys_name_no_key_of_the_day_nothing_is_made_or_destroyed(
    database: MakeDatabase, tmp_path: Path
) -> None:
    """A table that was restored beside a service that runs looks like this: its newest copy needs today's key."""
    own, clock, store = await database("audit"), FakeClock(), FileKeyStore(tmp_path / "keys")
    keys = DataKeys(store, DataKeyTable(own), clock)
    await keys.ready()
    await all_of(keys, own)
    for name in ("s0", "s1", "s2"):
        await damage(own, name, NOWHERE)
    before = store.ids()
    clock.advance(DAY)
    with pytest.raises(KeyLostError, match="3 data keys"):
        await keys.rotate()
    assert store.ids() == before


async def test_an_erasure_is_final_at_midnight_beside_a_damaged_data_key(
    database: MakeDatabase, tmp_path: Path
) -> None:
    """Only those that were wrapped on the day of the damage wait for it to be mended."""
    own, clock, store = await database("audit"), FakeClock(), FileKeyStore(tmp_path / "keys")
    table = DataKeyTable(own)
    keys = DataKeys(store, table, clock)
    await keys.ready()
    await all_of(keys, own)
    await damage(own, "s0", FLIPPED)
    clock.advance(DAY)
    with pytest.raises(KeyDamagedError):
        await keys.rotate()
    async with own.transaction() as connection:
        copied = next(iter((await table.of(connection, Log.ACCESS, ["s3"])).keys))
        await connection.execute(text("DELETE FROM data_keys WHERE subject = 's3'"))
    unwrap(copied, Sealer(store.read(copied.kek_id)))
    clock.advance(DAY)
    with pytest.raises(KeyDamagedError):
        await keys.rotate()
    for kek_id in store.ids():
        with pytest.raises(KeyDamagedError):
            unwrap(copied, Sealer(store.read(kek_id)))
    with pytest.raises(LookupError):
        store.read(copied.kek_id)
