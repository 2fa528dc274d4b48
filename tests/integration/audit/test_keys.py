"""Data keys on a real database, with the keys of the day in a folder."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.model import NOBODY, DataKey, Log, Subject
from igstats_audit.tables import DECLARATIONS
from igstats_kit.errors import DomainError, Reason
from igstats_kit.fence import admit
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.testing.clock import FakeClock
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MakeDatabase = Callable[[str], Awaitable[Database]]
ALICE = Subject("alice", b"a" * 32)
BOB = Subject("bob", b"b" * 32)
DAY = timedelta(days=1)


class Replica:
    """One process: memory of its own over a database and a folder that it shares."""

    def __init__(self, database: Database, keystore: FileKeyStore, clock: FakeClock) -> None:
        self.database = database
        self.keystore = keystore
        self.clock = clock
        self.keys = DataKeys(keystore, DataKeyTable(database), clock, batch=2)

    def another(self) -> "Replica":
        return Replica(self.database, self.keystore, self.clock)

    async def key(self, subject: Subject, log: Log = Log.ACCESS) -> DataKey:
        async with self.database.transaction() as connection:
            return (await self.keys.of(connection, log, [subject]))[subject]

    async def found(self, key: DataKey) -> DataKey | None:
        async with self.database.read() as connection:
            return (await self.keys.find(connection, [key.key_id])).get(key.key_id)

    async def erase(self, *subjects: Subject) -> dict[str, int]:
        tokens = tuple(subject.token for subject in subjects if subject.token)
        async with self.database.transaction() as connection:
            erased = await Subjects(DECLARATIONS, Sealer(bytes(32))).erase(connection, [Case("req_1", tokens)])
        return dict(erased["req_1"].counts)

    async def next_day(self) -> None:
        self.clock.advance(DAY)
        await self.keys.rotate()

    async def rows(self) -> list[tuple[str, str, bytes]]:
        async with self.database.read() as connection:
            rows = await connection.execute(text("SELECT key_id, kek_id, wrapped FROM data_keys ORDER BY key_id"))
            return [(row.key_id, row.kek_id, row.wrapped) for row in rows]


@pytest.fixture
async def replica(database: MakeDatabase, tmp_path: Path) -> Replica:
    made = Replica(await database("audit"), FileKeyStore(tmp_path / "keys"), FakeClock())
    await made.keys.ready()
    return made


async def blocked(database: Database) -> None:
    """Returns when somebody waits for a lock."""
    async with database.read() as connection:
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not await connection.scalar(query):  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.005)


async def test_a_subject_keeps_its_key_across_calls_replicas_and_days(replica: Replica) -> None:
    key = await replica.key(ALICE)
    assert await replica.key(ALICE) == key
    assert await replica.another().key(ALICE) == key
    await replica.next_day()
    assert await replica.key(ALICE) == key
    assert await replica.another().found(key) == key


async def test_each_subject_of_each_log_has_a_key_of_its_own(replica: Replica) -> None:
    wanted = [ALICE, BOB, NOBODY]
    async with replica.database.transaction() as connection:
        access = await replica.keys.of(connection, Log.ACCESS, [*wanted, ALICE])
        evidence = await replica.keys.of(connection, Log.EVIDENCE, wanted)
    assert list(access) == wanted
    found = [*access.values(), *evidence.values()]
    assert len({key.key_id for key in found}) == len({key.secret for key in found}) == len(found)


async def test_no_statement_but_one_is_needed_for_keys_that_exist(replica: Replica) -> None:
    await replica.key(ALICE)
    await replica.key(BOB)
    seen: list[str] = []

    class Counting:
        def __init__(self, connection: AsyncConnection) -> None:
            self._connection = connection

        async def execute(self, statement: object, binds: object) -> object:
            seen.append(str(statement))
            return await self._connection.execute(statement, binds)  # type: ignore[call-overload]  # passed on as it is

    async with replica.database.transaction() as connection:
        await replica.another().keys.of(Counting(connection), Log.ACCESS, [ALICE, BOB] * 500)
    assert len(seen) == 1


async def test_two_replicas_that_make_the_same_keys_at_once_agree(replica: Replica) -> None:
    many = [Subject(f"s{number}", number.to_bytes(32)) for number in range(50)]
    replicas = [replica.another() for _ in range(4)]

    async def all_of(one: Replica, order: list[Subject]) -> dict[Subject, DataKey]:
        async with one.database.transaction() as connection:
            return await one.keys.of(connection, Log.ACCESS, order)

    orders = [many, many[::-1], many[25:] + many[:25], many[::3] + many]
    first, *others = await asyncio.gather(*map(all_of, replicas, orders))
    assert others == [first] * 3


async def test_keys_made_in_a_transaction_that_fails_were_never_there(replica: Replica) -> None:
    made: list[DataKey] = []

    async def fail() -> None:
        async with replica.database.transaction() as connection:
            made.extend((await replica.keys.of(connection, Log.ACCESS, [ALICE])).values())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await replica.found(made[0]) is None
    assert await replica.key(ALICE) != made[0]


async def test_an_erased_key_is_gone_from_the_table_and_from_memory(replica: Replica) -> None:
    key, other = await replica.key(ALICE), await replica.key(BOB)
    elsewhere = replica.another()
    assert await elsewhere.key(ALICE) == key
    assert await replica.erase(ALICE) == {"data_keys": 1}
    for one in (replica, elsewhere):
        assert await one.found(key) is None
        await one.keys.drop_erased()
        assert key.secret not in {cached.secret for cached in one.keys._cache.values()}
    assert await replica.key(BOB) == other


async def test_a_key_that_another_replica_has_erased_seals_nothing_new(replica: Replica) -> None:
    key = await replica.key(ALICE)
    await replica.another().erase(ALICE)
    async with replica.database.transaction() as connection:
        with pytest.raises(DomainError) as refused:
            await admit(connection, [ALICE.token or b""])
        assert refused.value.reason is Reason.SUBJECT_ERASED
        assert (await replica.keys.of(connection, Log.ACCESS, [ALICE]))[ALICE].secret != key.secret  # had it not asked


async def test_an_erasure_waits_for_those_who_are_sealing_with_the_key(replica: Replica) -> None:
    async with replica.database.transaction() as connection:
        await admit(connection, [ALICE.token or b""])
        key = (await replica.keys.of(connection, Log.ACCESS, [ALICE]))[ALICE]
        erasure = asyncio.create_task(replica.another().erase(ALICE))
        await blocked(replica.database)
        assert (await replica.keys.of(connection, Log.ACCESS, [ALICE]))[ALICE] == key
    assert await erasure == {"data_keys": 1}
    assert await replica.found(key) is None


async def test_a_rotation_wraps_living_keys_again_and_destroys_every_older_key_of_the_day(replica: Replica) -> None:
    keys = [await replica.key(Subject(f"s{number}", number.to_bytes(32))) for number in range(7)]
    [old], before = replica.keystore.ids(), await replica.rows()
    replica.keystore.create()  # left by a rotation that was killed
    await replica.next_day()
    [new], after = replica.keystore.ids(), await replica.rows()
    assert new != old
    assert {kek_id for _, kek_id, _ in after} == {new}
    assert not {wrapped for *_, wrapped in before} & {wrapped for *_, wrapped in after}
    assert [await replica.another().found(key) for key in keys] == keys


async def test_the_key_of_the_day_stays_for_the_day(replica: Replica) -> None:
    before = replica.keystore.ids()
    replica.clock.advance(timedelta(hours=14, minutes=59))
    await replica.keys.rotate()
    assert replica.keystore.ids() == before
    replica.clock.advance(timedelta(minutes=1))
    await replica.keys.rotate()
    assert not set(replica.keystore.ids()) & set(before)


async def test_a_rotation_waits_for_a_key_that_is_being_wrapped_under_the_old_one(replica: Replica) -> None:
    async with replica.database.transaction() as connection:
        key = (await replica.keys.of(connection, Log.ACCESS, [ALICE]))[ALICE]
        rotation = asyncio.create_task(replica.another().next_day())
        await blocked(replica.database)
    await rotation
    assert await replica.another().found(key) == key


async def test_a_key_made_while_the_key_of_the_day_changes_is_wrapped_under_the_new_one(replica: Replica) -> None:
    late = replica.another()
    async with late.database.transaction() as connection:
        stale = await late.keys._table.of(connection, Log.ACCESS, [ALICE.name])
        await replica.next_day()
        assert stale.kek_id is not None
        late.keys._notice(stale.kek_id)
        assert await late.keys._add(connection, Log.ACCESS, stale.kek_id, [ALICE]) == {}
        key = (await late.keys.of(connection, Log.ACCESS, [ALICE]))[ALICE]
    assert await replica.found(key) == key
    assert {kek_id for _, kek_id, _ in await replica.rows()} == set(replica.keystore.ids())


async def test_a_rotation_passes_over_keys_that_an_erasure_is_at_and_comes_back(replica: Replica) -> None:
    keys = {subject: await replica.key(subject) for subject in (ALICE, BOB)}
    elsewhere = replica.another()
    async with replica.database.transaction() as connection:
        await connection.execute(text("DELETE FROM data_keys WHERE subject = 'alice'"))
        rotation = asyncio.create_task(elsewhere.next_day())
        await blocked(replica.database)
        assert len(replica.keystore.ids()) == 2
    await rotation
    assert len(replica.keystore.ids()) == 1
    assert await elsewhere.found(keys[BOB]) == keys[BOB]
    assert await elsewhere.found(keys[ALICE]) is None


async def test_replicas_rotate_at_once_while_others_make_and_read_keys(replica: Replica) -> None:
    replicas = [replica.another() for _ in range(4)]
    subjects = [Subject(f"s{number}", number.to_bytes(32)) for number in range(20)]
    replica.clock.advance(DAY)
    made = asyncio.gather(*(replicas[number % 4].key(subject) for number, subject in enumerate(subjects)))
    await asyncio.gather(*(one.keys.rotate() for one in replicas), made)
    await asyncio.gather(*(one.keys.rotate() for one in replicas))
    assert len(replica.keystore.ids()) == 1
    assert [await replica.another().found(key) for key in await made] == await made


async def test_a_restored_key_table_whose_key_of_the_day_is_gone_says_what_to_do(replica: Replica) -> None:
    key = await replica.key(ALICE)
    backup = await replica.rows()
    await replica.next_day()
    [kek_id] = replica.keystore.ids()
    async with replica.database.transaction() as connection:
        restored = text("UPDATE data_keys SET kek_id = :kek_id, wrapped = :wrapped WHERE key_id = :key_id")
        await connection.execute(restored, dict(zip(("key_id", "kek_id", "wrapped"), backup[0], strict=True)))
    late = replica.another()
    for attempt in (late.keys.ready(), late.keys.rotate(), late.found(key), late.key(ALICE)):
        with pytest.raises(KeyLostError, match=r"restore the table data_keys from its newest copy.*audit-keys\.md"):
            await attempt
    replica.clock.advance(DAY)
    with pytest.raises(KeyLostError):
        await late.keys.rotate()
    assert replica.keystore.ids() == [kek_id]


async def test_a_lost_directory_stops_everything_before_anything_is_made(replica: Replica, tmp_path: Path) -> None:
    await replica.key(ALICE)
    empty = Replica(replica.database, FileKeyStore(tmp_path / "other"), replica.clock)
    for attempt in (empty.keys.ready(), empty.keys.rotate(), empty.key(ALICE), empty.key(BOB)):
        with pytest.raises(KeyLostError):
            await attempt
    assert empty.keystore.ids() == []


async def test_rows_that_were_exchanged_do_not_open_and_stop_the_rotation(replica: Replica) -> None:
    key, _ = await replica.key(ALICE), await replica.key(BOB)
    async with replica.database.transaction() as connection:
        await connection.execute(
            text("UPDATE data_keys a SET wrapped = b.wrapped FROM data_keys b WHERE a.key_id <> b.key_id")
        )
    with pytest.raises(KeyDamagedError):
        await replica.another().found(key)
    before = replica.keystore.ids()
    with pytest.raises(KeyDamagedError):
        await replica.next_day()
    assert set(replica.keystore.ids()) > set(before)


async def test_nothing_is_sealed_before_the_first_key_of_the_day(database: MakeDatabase, tmp_path: Path) -> None:
    early = Replica(await database("audit"), FileKeyStore(tmp_path / "keys"), FakeClock())
    with pytest.raises(DomainError) as refused:
        await early.key(ALICE)
    assert refused.value.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_an_empty_table_takes_the_key_that_a_killed_start_has_left(
    database: MakeDatabase, tmp_path: Path
) -> None:
    early = Replica(await database("audit"), FileKeyStore(tmp_path / "keys"), FakeClock())
    left = early.keystore.create()
    await early.keys.ready()
    await early.key(ALICE)
    assert early.keystore.ids() == [left]


async def test_the_worker_rotates_at_its_start_and_goes_on(replica: Replica) -> None:
    [old] = replica.keystore.ids()
    replica.clock.advance(DAY)
    worker = asyncio.create_task(replica.keys.run())
    while old in replica.keystore.ids():  # noqa: ASYNC110 - a folder has no event for it
        await asyncio.sleep(0.005)
    assert not worker.done()
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
