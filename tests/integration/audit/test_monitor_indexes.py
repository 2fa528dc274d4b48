"""Indexes, days and entries as the services change them while the monitor looks: nothing of it is a finding."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from igstats_audit.model import Log
from igstats_audit.tables import DECLARATIONS
from igstats_kit.holds import Hold
from igstats_kit.seal import Sealer
from igstats_kit.subjects import Case, Subjects

from tests.integration.audit.conftest import TOKENS, MakeDatabase, World, call
from tests.integration.audit.site import Site

SUBJECTS = Subjects(DECLARATIONS, Sealer(bytes(32)))
UNTIL = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def site(database: MakeDatabase, tmp_path: Path) -> Site:
    made = Site(World(await database("audit"), tmp_path))
    await made.append(60)
    assert await made.found(remember=True) == []
    return made


def case(account_id: str, *holds: Hold) -> Case:
    return Case(f"req_{account_id}", (TOKENS.of("ACCOUNT_ID", account_id),), holds=holds)


async def test_commits_and_erasures_during_a_look_are_no_findings(site: Site) -> None:
    ended = asyncio.Event()

    async def work() -> int:
        rounds = 0
        while not ended.is_set():
            rounds += 1
            names = [f"stays_{rounds}", f"goes_{rounds}"] * 3
            async with site.world.writing(site.world.open()) as logs:
                await site.evidence(3, logs)
                await site.world.call(*map(site.call, names), logs=logs)
            async with site.database.transaction() as connection:
                await SUBJECTS.erase(connection, [case(names[1])])
        return rounds

    writer = asyncio.create_task(work())
    for _ in range(12):
        assert await site.found(remember=True) == []
    ended.set()
    assert await writer > 1
    assert site.memories[Log.ACCESS].tree.size > 60
    assert await site.found() == []


@pytest.mark.parametrize("stores", [["calls"], ["data_keys"], ["calls", "data_keys"]])
async def test_what_a_hold_keeps_of_an_erased_account_is_no_finding(site: Site, stores: list[str]) -> None:
    holds = [Hold(store, "GDPR_17_3_E", UNTIL) for store in stores]
    async with site.database.transaction() as connection:
        await SUBJECTS.erase(connection, [case("acc_1", *holds)])
    rows = await site.world.ask("SELECT 1 FROM calls UNION ALL SELECT 1 FROM data_keys WHERE log = 'access'")
    assert rows
    assert await site.found() == []


async def test_calls_of_a_restricted_account_are_compared_like_all_others(site: Site) -> None:
    async with site.database.transaction() as connection:
        await SUBJECTS.restrict(connection, [case("acc_1")])
    await site.append(6)  # withheld for acc_1
    assert await site.found() == []
    await site.tell("DELETE FROM calls WHERE index = 1")
    assert await site.found() == ["access LEAF_CHANGED entry 1"]


async def test_a_call_that_came_twice_has_one_row_that_leads_to_the_first(site: Site) -> None:
    again = call("req_call000001", "acc_0", site.world.clock.now(), sequence=61)
    async with site.world.writing(site.world.open()) as logs:
        await site.world.call(again, logs=logs)
    assert (await site.world.ask("SELECT size FROM heads WHERE log = 'access'"))[0].size == 61
    assert await site.found() == []
    await site.tell("UPDATE calls SET index = 60 WHERE index = 0")
    assert await site.found() == ["access LEAF_CHANGED entry 0"]


async def test_calls_of_nobody_are_compared_too(site: Site) -> None:
    async with site.world.writing(site.world.open()) as logs:
        await site.world.call(call("nobody's", "", site.world.clock.now(), sequence=61), logs=logs)
    assert await site.found() == []
    async with site.restored("calls"):
        await site.tell("UPDATE calls SET subject_token = 'x' WHERE index = 60")
        assert await site.found() == ["access LEAF_CHANGED entry 60"]
    await site.tell("DELETE FROM data_keys WHERE log = 'access' AND subject = ''")
    assert await site.found() == ["access PAYLOAD_CHANGED entry 60"]


async def test_a_data_key_that_is_filed_under_another_log_or_person_is_found(site: Site) -> None:
    for command in (
        "UPDATE data_keys SET log = 'access' WHERE key_id = (SELECT key_id FROM evidence_entries WHERE index = 17)",
        "UPDATE data_keys SET subject = 'no hex' WHERE key_id = (SELECT key_id FROM access_entries WHERE index = 17)",
        "UPDATE data_keys SET subject_token = NULL WHERE key_id = (SELECT key_id FROM access_entries WHERE index = 17)",
    ):
        async with site.restored("data_keys"):
            await site.tell(command)
            assert any("entry 17" in place for place in await site.found()), command
    assert await site.found() == []


async def test_an_entry_of_which_nothing_is_left_is_named_once(site: Site) -> None:
    await site.tell("DELETE FROM access_entries WHERE index BETWEEN 20 AND 29")
    assert await site.found() == ["access LEAF_CHANGED entries 20..29"]


async def test_a_day_more_pages_of_an_index_are_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igstats_audit.monitor.index_store._PAGE", 7)
    assert await site.found() == []
    for at in (0, 30, 59):
        async with site.restored("access_entries", "entry_ids"):
            await site.tell(f"UPDATE access_entries SET key_id = '', sealed = '' WHERE index = {at}")  # noqa: S608 - a number
            await site.tell(f"UPDATE entry_ids SET index = 60 WHERE index = {at}")  # noqa: S608 - a number
            places = {"access PAYLOAD_CHANGED", "evidence LEAF_CHANGED"}
            assert {f"{place} entry {at}" for place in places} <= set(await site.found())
