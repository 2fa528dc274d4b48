"""The daily cut: days go whole, the log stays one log, and everything that lives stays provable."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from igstats_audit import cut_store
from igstats_audit.cut_store import SqlCuts
from igstats_audit.errors import KeyDamagedError, TileMissingError
from igstats_audit.model import Log
from igstats_audit.tile_path import entries_path, leaves_of, path
from igstats_audit.tree import Range, grow, leaf_hash
from igstats_client.merkle import root_of
from igstats_kit.errors import DomainError, Reason
from igstats_kit.tables import restrictions
from sqlalchemy import insert, text

from tests.integration.audit.conftest import MOMENT, TOKENS, call, entry

World = Any
"""The world of conftest.py."""

THIRTY = timedelta(days=30)
TAKEN_OUT = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'cut\\_%' ORDER BY relname"


async def three_days(world: World, *sizes: int) -> None:
    """A log that grew by so many calls on each day."""
    number = 0
    for day, size in enumerate(sizes):
        if day:
            world.clock.advance(timedelta(days=1))
        await world.call(*(call(f"req_{number + at}", "acc_1" if at else "acc_2") for at in range(size)))
        number += size


async def proved(world: World, index: int) -> None:
    head = await world.access.proofs.head()
    found, size, _ = await world.access.proofs.inclusion(index, 0)
    leaf = (await world.access.proofs.entry(index)).leaf
    assert root_of(leaf_hash(leaf), index, size, found) == head.tree.root


async def restrict(world: World, account_id: str) -> None:
    async with world.database.transaction() as connection:
        row = {"token": TOKENS.of("ACCOUNT_ID", account_id), "request_id": "req_1"}
        await connection.execute(insert(restrictions), row)


async def reason_of(awaited: Any) -> Reason:
    with pytest.raises(DomainError) as refused:
        await awaited
    return refused.value.reason


async def test_a_day_lives_for_thirty_days_and_goes_with_its_partitions(world: World) -> None:
    async with world.writing():
        await three_days(world, 5, 5)
        await world.logs.cut.run(MOMENT.date() + THIRTY - timedelta(days=1))
        await proved(world, 0)
        await world.logs.cut.run(MOMENT.date() + THIRTY)
    assert (await world.access.proofs.head()).minimum_index == 5
    assert await world.ask("SELECT count(*) FROM access_entries WHERE index < 5") == [(0,)]
    assert await world.ask(TAKEN_OUT) == [("cut_access_entries_20261123",), ("cut_calls_20261123",)]
    await world.logs.cut.tidy()  # in life a moment later, after a crash at the next start
    assert await world.ask(TAKEN_OUT) == []
    assert await world.ask("SELECT to_regclass('calls_20261123'), to_regclass('access_entries_20261123')") == [
        (None, None)
    ]
    assert await reason_of(world.access.proofs.entry(4)) is Reason.ENTRY_CUT
    assert await reason_of(world.access.proofs.inclusion(4, 0)) is Reason.ENTRY_CUT
    for index in range(5, 10):
        await proved(world, index)


@pytest.mark.parametrize("sizes", [(700, 900), (256, 300), (3, 2), (70_000, 2_000), (1, 70_000)])
async def test_every_living_entry_is_provable_after_a_cut_anywhere_in_a_tile(
    world: World, sizes: tuple[int, int]
) -> None:
    cut, living = sizes
    async with world.writing():
        await three_days(world, cut, living)
        old = (await world.access.proofs.head()).tree
        kept = await world.access.proofs.inclusion(cut - 1, 0)
        leaf = (await world.access.proofs.entry(cut - 1)).leaf
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.call(*(call(f"new_{number}") for number in range(600)))
    assert root_of(leaf_hash(leaf), cut - 1, old.size, kept[0]) == old.root
    for logs in (world.logs, world.open("elsewhere")):
        world.logs = logs
        for index in {cut, cut + 1, cut + living - 1, cut + living, cut + living + 599, (cut | 255) + 1}:
            await proved(world, index)
        await logs.access.proofs.consistency(old.size, 0)


async def test_files_below_the_minimum_index_are_gone_and_those_that_hold_living_entries_are_served(
    world: World,
) -> None:
    async with world.writing():
        await three_days(world, 700, 400)
        reader = world.access.files
        before = {name: await reader.file(name) for name in (path(0, 2), entries_path(2), path(1, 0, 4))}
        await reader.publish()
        assert (world.folder / "tiles" / "access" / path(0, 0)).exists()
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.logs.cut.tidy()
    elsewhere = world.open("elsewhere").access.files
    for files in (reader, elsewhere):
        for name, content in before.items():
            assert await files.file(name) == content
        for name in (path(0, 0), entries_path(1), path(0, 1, 9)):
            assert await reason_of(files.file(name)) is Reason.ENTRY_CUT
        for name in (path(0, 9), path(3, 0), "tile/0/1", "tile/0/004.p/99", entries_path(7, 3)):
            assert await reason_of(files.file(name)) is Reason.LOG_FILE_NOT_FOUND
    assert len(leaves_of(before[entries_path(2)][0])) == 256
    assert not (world.folder / "tiles" / "access" / path(0, 0)).exists()
    assert (world.folder / "tiles" / "access" / path(0, 2)).exists()


async def test_the_cut_is_evidence_that_can_be_checked(world: World) -> None:
    async with world.writing():
        await three_days(world, 30, 10)
        leaves = [row[0] for row in await world.ask("SELECT leaf FROM access_entries ORDER BY index")]
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.logs.cut.run(MOMENT.date() + THIRTY)
    found = await world.evidence.proofs.entry(0)
    said = json.loads(found.payload)
    assert (found.kind, said["log"], said["from"], said["to"]) == ("log.cut", "access", 0, 30)
    assert said["root"] == grow(Range(), list(map(leaf_hash, leaves[:30]))).after.root.hex()
    assert (await world.evidence.proofs.head()).tree.size == 1


async def test_a_cut_that_was_announced_and_then_interrupted_is_finished_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.writing():
        await three_days(world, 30, 10)
        cuts = world.logs.cut._cuts
        with monkeypatch.context() as broken:
            broken.setattr(cuts, "cut", _fail)
            with pytest.raises(OSError, match="killed"):
                await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.logs.cut.run(MOMENT.date() + THIRTY)
    assert (await world.access.proofs.head()).minimum_index == 30
    assert (await world.evidence.proofs.head()).tree.size == 1


async def _fail(_plan: object) -> None:
    raise OSError("killed")


async def test_a_log_that_ages_out_whole_goes_on_growing(world: World) -> None:
    async with world.writing():
        await world.call(*(call(f"req_{number}") for number in range(300)))
        world.clock.advance(THIRTY + timedelta(days=5))
        await world.logs.cut.run(world.clock.now().date())
        assert (await world.access.proofs.head()).minimum_index == 300
        await world.call(*(call(f"new_{number}") for number in range(10)))
        await proved(world, 305)
    assert await world.ask("SELECT first_index FROM log_days WHERE log = 'access'") == [(300,)]


async def test_two_processes_cut_once(world: World) -> None:
    other = world.open("other")
    async with world.writing(), world.writing(other):
        await three_days(world, 300, 10)
        for logs in (world.logs, other, world.logs):
            await logs.cut.run(MOMENT.date() + THIRTY)
        await world.call(call("late"))
        await world.call(call("later"), logs=other)
    assert await world.ask("SELECT count(*) FROM tiles WHERE log = 'access' AND level = 0") == [(1,)]
    assert (await world.access.proofs.head()).tree.size == 312


async def test_a_process_learns_of_a_cut_that_another_has_made(world: World) -> None:
    other = world.open("other").access
    async with world.writing():
        await three_days(world, 300, 10)
        before = await other.store.leaves(256, 310)
        assert (await other.proofs.entry(5)).payload
        await world.logs.cut.run(MOMENT.date() + THIRTY)
    assert await other.store.leaves(256, 310) == before
    assert await reason_of(other.proofs.entry(5)) is Reason.ENTRY_CUT


async def test_a_process_that_did_not_cut_is_not_misled_by_calls_of_restricted_persons_that_came_back(
    world: World,
) -> None:
    """Their day is there again under its old name, with holes: its rows are no leaves of the tree to read in a row."""
    other = world.open("other").access
    async with world.writing():
        await world.call(*(call(f"req_{number}", "acc_2" if number in {0, 270} else "acc_1") for number in range(300)))
        world.clock.advance(timedelta(days=1))
        await world.call(*(call(f"new_{number}") for number in range(300)))
        tree, before = (await other.store.head()).tree, await other.store.leaves(256, 512)
        assert (await other.proofs.entry(0)).payload
        await restrict(world, "acc_2")
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.logs.cut.tidy()
    assert await other.store.leaves(256, 512) == before
    assert await reason_of(other.proofs.entry(0)) is Reason.ENTRY_CUT
    assert await reason_of(other.proofs.entry(270)) is Reason.ENTRY_CUT
    found, size, _ = await other.proofs.inclusion(305, 0)
    assert root_of(leaf_hash(before[49]), 305, size, found) == tree.root
    assert leaves_of((await other.files.file(entries_path(1)))[0]) == before
    assert len((await other.files.file(path(0, 1)))[0]) == 256 * 32


async def test_an_entry_that_came_back_is_cut_for_a_process_that_knows_its_day_from_before(world: World) -> None:
    other = world.open("other").access
    async with world.writing():
        await three_days(world, 5, 5)
        assert (await other.proofs.entry(0)).payload
        await restrict(world, "acc_2")
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.logs.cut.tidy()
    assert await world.ask("SELECT index FROM access_entries_20261123") == [(0,)]
    assert await reason_of(other.proofs.entry(0)) is Reason.ENTRY_CUT


async def test_the_next_cut_by_a_process_that_did_not_make_the_last_keeps_the_right_leaves(world: World) -> None:
    other = world.open("other")
    async with world.writing(), world.writing(other):
        await world.call(*(call(f"req_{number}", "acc_2" if number == 2 else "acc_1") for number in range(5)))
        for day in range(2):
            world.clock.advance(timedelta(days=1))
            await world.call(*(call(f"new_{day}_{number}") for number in range(5)))
        before = await other.access.store.leaves(0, 15)
        await restrict(world, "acc_2")
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.logs.cut.tidy()
        await other.cut.run(MOMENT.date() + THIRTY + timedelta(days=1))
    assert await world.ask("SELECT hashes FROM tiles WHERE log = 'access' AND level = 0") == [(b"".join(before[:10]),)]
    await proved(world, 10)


async def test_calls_of_restricted_persons_stay_until_the_restriction_ends(world: World) -> None:
    async with world.writing():
        await three_days(world, 5, 5)
        await restrict(world, "acc_2")
        for _ in range(2):
            await world.logs.cut.run(MOMENT.date() + THIRTY)
            await world.logs.cut.tidy()
            assert [row[0] for row in await world.ask("SELECT call_id FROM calls_20261123")] == ["req_0"]
            assert await world.ask("SELECT count(*) FROM access_entries_20261123") == [(1,)]
            assert await world.ask(TAKEN_OUT) == []
        async with world.database.transaction() as connection:
            await connection.execute(text("DELETE FROM restrictions"))
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        await world.logs.cut.tidy()
    assert await world.ask("SELECT to_regclass('calls_20261123')") == [(None,)]
    assert await world.ask(TAKEN_OUT) == []


async def test_a_restriction_costs_the_cut_no_row_while_writers_wait(world: World) -> None:
    """A day with calls of a restricted person leaves as it is, like any other: the rest happens when nobody waits."""
    async with world.writing():
        await three_days(world, 5, 5)
        await restrict(world, "acc_2")
        await world.tell(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE 'rows are touched while writers wait'; END$$;"
        )
        for table in ("calls_20261123", "access_entries_20261123"):
            await world.tell(f"CREATE TRIGGER untouched BEFORE DELETE ON {table} EXECUTE FUNCTION refuse()")
        await world.logs.cut.run(MOMENT.date() + THIRTY)
    assert await world.ask(TAKEN_OUT) == [("cut_access_entries_20261123",), ("cut_calls_20261123",)]
    assert await world.ask("SELECT count(*) FROM cut_calls_20261123") == [(5,)]


async def test_a_bringing_back_that_broke_off_is_ended_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut_store, "_BATCH", 2)
    async with world.writing():
        await world.call(*(call(f"req_{number}", f"acc_{number % 2}") for number in range(10)))
        await restrict(world, "acc_1")
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        cuts = SqlCuts(world.database)
        day, token = MOMENT.date(), TOKENS.of("ACCOUNT_ID", "acc_1")
        assert await cuts._bring_some_back(day, [token], -1) == 3
        await world.logs.cut.run(MOMENT.date() + THIRTY)  # what is not dropped yet is not taken out again
        await world.logs.cut.tidy()
    assert [row[0] for row in await world.ask("SELECT call_id FROM calls ORDER BY index")] == [
        f"req_{number}" for number in (1, 3, 5, 7, 9)
    ]
    assert [row[0] for row in await world.ask("SELECT index FROM access_entries ORDER BY index")] == [1, 3, 5, 7, 9]
    assert await world.ask(TAKEN_OUT) == []


async def test_evidence_is_cut_after_its_years_with_its_ids_and_keys(world: World) -> None:
    async with world.writing() as logs:
        await logs.evidence.sequencer.append([entry("old"), entry("mine", "req_1"), entry("long", "req_2")])
        world.clock.advance(timedelta(days=729))
        await logs.cut.run(world.clock.now().date())
        assert (await logs.evidence.proofs.entry(0)).entry_id == "old"
        await logs.evidence.sequencer.append([entry("young", "req_2")])
        world.clock.advance(timedelta(days=1))
        await logs.cut.run(world.clock.now().date())
        assert await reason_of(logs.evidence.proofs.entry(0)) is Reason.ENTRY_CUT
    ids = [row[0] for row in await world.ask("SELECT entry_id FROM entry_ids ORDER BY index")]
    assert ids == ["young", f"cut/{Log.EVIDENCE}/3"]
    keys = [row[0] for row in await world.ask("SELECT subject FROM data_keys ORDER BY subject")]
    assert keys == ["", "req_2"]


async def test_rooms_for_the_next_days_are_there_before_them(world: World) -> None:
    await world.logs.cut.make_days()
    await world.logs.cut.make_days()
    for table in ("evidence_entries", "access_entries", "calls"):
        parents = await world.ask("SELECT inhparent::regclass::text FROM pg_inherits")
        assert [row[0] for row in parents].count(table) == 4


class EnoughError(BaseException):
    """Ends a worker from within its rest."""


DAMAGED = "UPDATE data_keys SET wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1) WHERE subject = ''"


async def test_a_cut_in_trouble_waits_and_comes_when_it_is_mended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.writing() as logs:
        await logs.evidence.sequencer.append([entry("e0")])
        await three_days(world, 5, 5)
    await world.tell(DAMAGED)
    world.clock.advance(THIRTY - timedelta(days=1))
    fresh = type(world)(world.database, world.folder)  # it has no key in memory, as after a start
    fresh.clock.advance(world.clock.now() - fresh.clock.now())
    rests = []

    async def rest(seconds: float) -> None:
        rests.append((seconds, (await world.access.store.head()).minimum_index))
        if len(rests) > 1:
            raise EnoughError
        await world.tell(DAMAGED)  # a second time mends it

    async with fresh.writing() as logs:
        monkeypatch.setattr("igstats_audit.cut.asyncio", SimpleNamespace(sleep=rest))
        with pytest.raises(EnoughError):
            await logs.cut.work()
        monkeypatch.undo()
    (waited, before), (rested, after) = rests
    assert (waited, before, after) == (60.0, 0, 5)
    assert rested > waited


@pytest.mark.parametrize("trouble", [TileMissingError("leaves below 5"), OSError("no space"), KeyDamagedError("key_1")])
async def test_a_cut_in_trouble_does_not_keep_the_one_before_from_being_tidied(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    async def fail(_plan: object, _days: int) -> None:
        raise trouble

    async def end(_seconds: float) -> None:
        raise EnoughError

    async with world.writing():
        await three_days(world, 5, 5)
        await world.logs.cut.run(MOMENT.date() + THIRTY)
        world.clock.advance(THIRTY)
        monkeypatch.setattr(world.logs.cut, "_announce", fail)
        monkeypatch.setattr("igstats_audit.cut.asyncio", SimpleNamespace(sleep=end))
        with pytest.raises(EnoughError):
            await world.logs.cut.work()
        monkeypatch.undo()
    assert (await world.access.store.head()).minimum_index == 5
    assert await world.ask(TAKEN_OUT) == []
