"""The monitor on a real database: silent while the logs are what they were, and by name whatever somebody changed."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from igstats_audit.model import Log
from igstats_audit.monitor.finding_store import SqlFindings
from igstats_audit.monitor.findings import Findings
from igstats_audit.monitor.memory import Memory, MemoryFiles
from igstats_audit.monitor.watch import Watch
from igstats_audit.note import Checkpoint
from igstats_audit.tree import Range, grow, leaf_hash
from igstats_kit.sql import Database
from igstats_kit.testing.databases import Databases

from tests.integration.audit.conftest import MakeDatabase, World, signer
from tests.integration.audit.site import Site, built


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    url = await databases.fresh("audit")
    database = Database(url)
    try:
        yield await built(Site(World(database, tmp_path_factory.mktemp("monitor"))))
    finally:
        await database.close()
        await databases.drop(url)


async def test_good_logs_are_silent(site: Site) -> None:
    assert await site.found() == []
    head = await site.world.open().access.store.head()
    assert (head.tree.size, head.minimum_index) == (630, 300)
    assert {memory.tree.size for memory in site.memories.values()} == {630, 631}


FLIP = "UPDATE {table} SET {column} = set_byte({column}, {at}, get_byte({column}, {at}) # 1) WHERE {where}"
CHANGES = [
    ("evidence_entries", "leaf", 3, "index = 17", "evidence LEAF_CHANGED entry 17"),
    ("evidence_entries", "leaf", 80, "index = 620", "evidence LEAF_CHANGED entry 620"),
    ("access_entries", "leaf", 80, "index = 301", "access LEAF_CHANGED entry 301"),
    ("access_entries", "leaf", 80, "index = 615", "access LEAF_CHANGED entry 615"),
    ("evidence_entries", "sealed", 40, "index = 17", "evidence PAYLOAD_CHANGED entry 17"),
    ("access_entries", "sealed", 40, "index = 600", "access PAYLOAD_CHANGED entry 600"),
    ("tiles", "hashes", 33, "log = 'evidence' AND level = 1", "evidence TILE_CHANGED tile/1/000"),
    ("tiles", "hashes", 33, "log = 'access' AND level = 0", "access TILE_CHANGED tile/0/001"),
    ("heads", "root", 0, "log = 'access'", "access HEAD_CHANGED head"),
    ("heads", "compact_range", 31, "log = 'evidence'", "evidence HEAD_CHANGED head"),
]


@pytest.mark.parametrize(("table", "column", "at", "where", "place"), CHANGES)
async def test_a_changed_byte_is_found_and_named(
    site: Site, table: str, column: str, at: int, where: str, place: str
) -> None:
    async with site.restored(table):
        await site.tell(FLIP.format(table=table, column=column, at=at, where=where))
        assert await site.found() == [place]
    assert await site.found() == []


SWAP = (
    "UPDATE {table} SET index = -1 WHERE index = {one}; UPDATE {table} SET index = {one} WHERE index = {other};"
    " UPDATE {table} SET index = {other} WHERE index = -1"
)
EXCHANGE = (
    "UPDATE evidence_entries a SET sealed = b.sealed, key_id = b.key_id FROM evidence_entries b"
    " WHERE a.index IN (20, 30) AND b.index = 50 - a.index"
)
PAYLOAD_600, LEAF_600 = "access PAYLOAD_CHANGED entry 600", "access LEAF_CHANGED entry 600"
STATEMENTS = [
    (
        "heads",
        "UPDATE heads SET size = size - 1 WHERE log = 'access'",  # the service believes it and serves less
        ["access HEAD_CHANGED head", "access TILE_CHANGED tile/0/002", "access TILE_CHANGED tile/entries/002"],
    ),
    ("heads", "DELETE FROM heads WHERE log = 'access'", ["access HEAD_CHANGED head"]),
    (
        "heads",
        "UPDATE heads SET minimum_index = 610 WHERE log = 'access'",
        ["access HEAD_CHANGED head", "access TILE_CHANGED tile/0/001", "access TILE_CHANGED tile/entries/001"],
    ),
    ("heads", "UPDATE heads SET minimum_index = 1 WHERE log = 'evidence'", ["evidence HEAD_CHANGED head"]),
    (
        "heads",
        "UPDATE heads SET checkpoint = replace(checkpoint, chr(10) || '630' || chr(10), chr(10) || '629' || chr(10))",
        ["access CHECKPOINT_INVALID checkpoint"],
    ),
    ("evidence_entries", "DELETE FROM evidence_entries WHERE index = 40", ["evidence LEAF_CHANGED entry 40"]),
    (
        "access_entries",
        "DELETE FROM access_entries WHERE index BETWEEN 400 AND 409",
        ["access LEAF_CHANGED entries 400..409"],
    ),
    (
        "evidence_entries",
        SWAP.format(table="evidence_entries", one=20, other=30),
        ["evidence LEAF_CHANGED entry 20", "evidence LEAF_CHANGED entry 30"],
    ),
    (
        "access_entries",
        SWAP.format(table="access_entries", one=601, other=625),
        ["access LEAF_CHANGED entry 601", "access LEAF_CHANGED entry 625"],
    ),
    (
        "evidence_entries",
        EXCHANGE,
        ["evidence PAYLOAD_CHANGED entry 20", "evidence PAYLOAD_CHANGED entry 30"],
    ),
    (
        "evidence_entries",
        "UPDATE evidence_entries SET sequence = 5 WHERE index = 3",
        ["evidence LEAF_CHANGED entry 3"],
    ),
    (
        "evidence_entries",
        "UPDATE evidence_entries SET request_id = 'req_x' WHERE index = 3",
        ["evidence PAYLOAD_CHANGED entry 3", "evidence LEAF_CHANGED entry 3"],
    ),
    (
        "evidence_entries",
        "UPDATE evidence_entries SET key_id = '', sealed = '' WHERE index = 3",
        ["evidence PAYLOAD_CHANGED entry 3"],
    ),
    (
        "heads",
        "UPDATE heads SET stream_sequence = stream_sequence + 1000 WHERE log = 'access'",
        ["access HEAD_CHANGED head"],
    ),
    ("heads", "UPDATE heads SET stream_sequence = 1 WHERE log = 'evidence'", ["evidence HEAD_CHANGED head"]),
    ("heads", "UPDATE heads SET epoch = epoch - 1 WHERE log = 'access'", ["access HEAD_CHANGED head"]),
    ("heads", "UPDATE heads SET day = day + 1 WHERE log = 'access'", ["access HEAD_CHANGED head"]),
    (
        "log_days",
        "DELETE FROM log_days WHERE log = 'access'",  # nor does the service find entries without it
        ["access HEAD_CHANGED head", "access TILE_CHANGED tile/0/002", "access TILE_CHANGED tile/entries/002"],
    ),
    ("access_entries", "UPDATE access_entries SET key_id = '', sealed = '' WHERE index = 600", [PAYLOAD_600]),
    ("access_entries", "UPDATE access_entries SET key_id = key_id || 'x' WHERE index = 600", [PAYLOAD_600]),
    (
        "evidence_entries",
        "UPDATE evidence_entries SET day = day + 1 WHERE index = 17",
        ["evidence LEAF_CHANGED entry 17"],
    ),
    ("entry_ids", "DELETE FROM entry_ids WHERE index = 17", ["evidence LEAF_CHANGED entry 17"]),
    ("entry_ids", "UPDATE entry_ids SET request_id = 'req_x' WHERE index = 17", ["evidence LEAF_CHANGED entry 17"]),
    (
        "entry_ids",
        "UPDATE entry_ids SET index = 18 WHERE index = 17",
        ["evidence LEAF_CHANGED entry 17", "evidence LEAF_CHANGED entry 18"],
    ),
    (
        "entry_ids",
        "INSERT INTO entry_ids VALUES ('made up', 17, '2026-11-23', '')",
        ["evidence LEAF_CHANGED entry 17"],
    ),
    ("calls", "DELETE FROM calls WHERE index = 600", [LEAF_600]),
    ("calls", "UPDATE calls SET subject_token = 'x' WHERE index = 600", [LEAF_600]),
    ("calls", "UPDATE calls SET status = status + 1 WHERE index = 600", [LEAF_600]),
    (
        "calls",
        "INSERT INTO calls SELECT 'made up', day, subject_token, index, called_at, status FROM calls WHERE index = 600",
        [LEAF_600],
    ),
    (
        "tiles",
        "UPDATE tiles SET hashes = hashes || '\\x00' WHERE log = 'access'",
        ["access TILE_CHANGED tile/0/001", "access TILE_CHANGED tile/1/000"],
    ),
    (
        "tiles",
        "INSERT INTO tiles VALUES ('evidence', 1, 9, ''), ('evidence', 0, 0, '\\x00'), ('evidence', 9, -1, '\\x00')",
        ["evidence TILE_CHANGED tile/0/000", "evidence TILE_CHANGED tile/1/009", "evidence TILE_CHANGED row 9/-1"],
    ),
    ("tiles", "DELETE FROM tiles WHERE log = 'access' AND level = 1", ["access TILE_CHANGED tile/1/000"]),
    ("tiles", "DELETE FROM tiles WHERE log = 'access' AND level = 0", ["access TILE_CHANGED tile/0/001"]),
]


@pytest.mark.parametrize(("table", "command", "places"), STATEMENTS)
async def test_what_somebody_writes_is_found_and_named(site: Site, table: str, command: str, places: list[str]) -> None:
    async with site.restored(table):
        await site.tell(command)
        found = await site.found()
        assert [place for place in found if place not in places] == []
        assert set(found) == set(places)
    assert await site.found() == []


async def test_a_damaged_data_key_is_found_by_the_entries_that_it_opens(site: Site) -> None:
    async with site.restored("data_keys"):
        await site.tell(
            "UPDATE data_keys SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)"
            " WHERE key_id = (SELECT key_id FROM evidence_entries WHERE index = 17)"
        )
        found = await site.found()
        assert "evidence PAYLOAD_CHANGED entry 17" in found
        assert {place.split()[1] for place in found} == {"PAYLOAD_CHANGED"}


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"])
async def test_a_changed_file_of_the_cache_is_found_and_named(site: Site, name: str) -> None:
    file = site.world.folder / "tiles" / "evidence" / name
    good = file.read_bytes()
    file.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    try:
        assert await site.found() == [f"evidence TILE_CHANGED {name}"]
    finally:
        file.write_bytes(good)


async def test_a_tile_that_nobody_can_make_hides_no_other_file(site: Site) -> None:
    file = site.world.folder / "tiles" / "evidence" / "tile/entries/001"
    good = file.read_bytes()
    file.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    async with site.restored("tiles"):
        await site.tell("DELETE FROM tiles WHERE log = 'evidence' AND level = 1")
        found = await site.found()
    file.write_bytes(good)
    assert found == ["evidence TILE_CHANGED tile/1/000", "evidence TILE_CHANGED tile/entries/001"]


async def test_what_stands_in_the_place_of_an_announcement_announces_nothing(site: Site) -> None:
    async with site.restored("evidence_entries"):
        await site.tell(
            "UPDATE evidence_entries SET sealed = b.sealed FROM evidence_entries b"
            " WHERE evidence_entries.kind = 'log.cut' AND b.index = 12"
        )
        (changed,) = await site.world.ask("SELECT index FROM evidence_entries WHERE kind = 'log.cut'")
        now = site.world.clock.now()
        found = await site.looker(Log.ACCESS, Memory.new(Log.ACCESS)).look(now, whole=True)
        assert ("HEAD_CHANGED", "head") in [(one.kind, one.place) for one in found]
        assert await site.found() == [f"evidence PAYLOAD_CHANGED entry {changed.index}"]


async def test_a_smaller_tree_that_is_signed_again_is_a_fork(site: Site) -> None:
    rows = await site.world.ask("SELECT leaf FROM evidence_entries ORDER BY index LIMIT 600")
    tree = grow(Range(), [leaf_hash(row.leaf) for row in rows]).after
    keys = signer(Log.EVIDENCE)
    note = keys.sign(Checkpoint(keys.name, tree.size, tree.root).text)
    last = site.memories[Log.EVIDENCE].tree.size
    async with site.restored("heads", "evidence_entries"):
        await site.tell("DELETE FROM evidence_entries WHERE index >= 600")
        await site.tell(
            "UPDATE heads SET size = 600, root = :root, compact_range = :range, checkpoint = :note"
            " WHERE log = 'evidence'",
            root=tree.root,
            range=b"".join(tree.hashes),
            note=note,
        )
        assert await site.found() == [f"evidence FORK checkpoint {last}"]
        assert await site.found(whole=False) == [f"evidence FORK checkpoint {last}"]


async def test_producers_numbers_that_are_dropped_or_repeated_are_told(database: MakeDatabase, tmp_path: Path) -> None:
    made = Site(World(await database("audit"), tmp_path))
    await made.append(10)
    async with made.world.writing(made.world.open()) as logs:
        await logs.evidence.sequencer.append([made.entry("stats", 9), made.entry("stats", 3)])
        made.numbers["gateway"] += 2
        await made.world.call(made.call("acc_1"), logs=logs)
    files = MemoryFiles(tmp_path / "memory")
    lookers = [made.looker(log, files.load(log)) for log in Log]
    findings = Findings(SqlFindings(made.database))
    watch = Watch(lookers, files, findings, made.world.clock, grace=timedelta(minutes=15))
    assert await watch.look() == 1
    made.world.clock.advance(timedelta(minutes=16))
    assert await watch.look() == 2
    assert await watch.look() == 0
    page = await findings.page(10, "")
    assert {f"{one.observation.log} {one.observation.kind} {one.observation.place}" for one in page.findings} == {
        "evidence SEQUENCE_REPEATED producer stats 3",
        "evidence SEQUENCE_GAP producer stats 6..8",
        "access SEQUENCE_GAP producer gateway 11..12",
    }
    gaps = [one for one in page.findings if one.observation.kind == "SEQUENCE_GAP"]
    assert all(one.found_at == one.seen_at == made.world.clock.now() for one in gaps)
    made.world.clock.advance(timedelta(minutes=1))
    assert await watch.look() == 0
    page = await findings.page(10, "")
    assert [one for one in page.findings if one.seen_at > one.found_at and one.observation.kind == "SEQUENCE_GAP"]


async def test_a_finding_becomes_one_entry_of_the_evidence_log(database: MakeDatabase, tmp_path: Path) -> None:
    made = Site(World(await database("audit"), tmp_path))
    await made.append(5)
    await made.tell("UPDATE evidence_entries SET sealed = 'x' WHERE index = 2")
    files = MemoryFiles(tmp_path / "memory")
    lookers = [made.looker(Log.EVIDENCE, files.load(Log.EVIDENCE))]
    watch = Watch(lookers, files, Findings(SqlFindings(made.database)), made.world.clock, grace=timedelta(0))
    assert await watch.look() == 1
    made.world.clock.advance(timedelta(days=2))
    assert await watch.look() == 0
    rows = await made.world.ask("SELECT subject, data FROM outbox")
    assert [row.subject for row in rows] == ["igstats.audit.v1.record.made"]
    told = json.loads(bytes(rows[0].data)[bytes(rows[0].data).index(b"{") :].partition(b"}")[0] + b"}")
    assert (told["kind"], told["log"], told["place"]) == ("PAYLOAD_CHANGED", "evidence", "entry 2")


PLANTED = (
    "INSERT INTO findings VALUES ('fnd_planted', 'evidence', 'PAYLOAD_CHANGED', 'entry 2', 'nothing', now(), now()),"
    " ('fnd_other', 'access', 'FORK', 'checkpoint 1', 'nothing', now(), now())"
)
EXCHANGED = (
    "CREATE TEMPORARY TABLE ids ON COMMIT DROP AS SELECT finding_id FROM findings WHERE place = 'entry 2';"
    " DELETE FROM findings WHERE place = 'entry 2';"
    " UPDATE findings SET finding_id = (SELECT finding_id FROM ids) WHERE place = 'checkpoint 1'"
)

CHANGED = "UPDATE findings SET finding_id = 'fnd_x', found_at = now(), seen_at = now() + interval '1 year'"


async def test_the_list_of_findings_follows_the_monitor_whatever_somebody_writes_into_it(
    database: MakeDatabase, tmp_path: Path
) -> None:
    made = Site(World(await database("audit"), tmp_path))
    await made.append(5)
    await made.tell(PLANTED)
    await made.tell("UPDATE evidence_entries SET sealed = 'x' WHERE index = 2")
    files, findings = MemoryFiles(tmp_path / "memory"), Findings(SqlFindings(made.database))
    lookers = [made.looker(Log.EVIDENCE, files.load(Log.EVIDENCE))]
    watch = Watch(lookers, files, findings, made.world.clock, grace=timedelta(0))
    assert await watch.look() == 1
    assert len(await made.world.ask("SELECT event_id FROM outbox")) == 1
    (ours,) = [one for one in (await findings.page(10, "")).findings if one.observation.place == "entry 2"]
    for written in ("DELETE FROM findings WHERE place = 'entry 2'", EXCHANGED, CHANGED):
        await made.tell(written)
        made.world.clock.advance(timedelta(days=2))
        assert await watch.look() == 0
        (kept,) = [one for one in (await findings.page(10, "")).findings if one.observation.place == "entry 2"]
        assert (kept.finding_id, kept.found_at, kept.seen_at) == (
            ours.finding_id,
            ours.found_at,
            made.world.clock.now(),
        )
    assert len(await made.world.ask("SELECT event_id FROM outbox")) == 1
