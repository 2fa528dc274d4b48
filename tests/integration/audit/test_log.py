"""The log on PostgreSQL: gapless, without fork, provable, and suspicious of its own database."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from igstats_audit import model
from igstats_audit.errors import LogForkedError
from igstats_audit.logs import OneLog
from igstats_audit.model import CALL_ANSWERED, Commit, Delivery, Head, NewCall, SealedEntry
from igstats_audit.tree import Range, grow, leaf_hash
from igstats_client.merkle import root_of
from igstats_client.note import open_note, parse_checkpoint, parse_verifier_key
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event
from igstats_kit.sql import Database
from sqlalchemy import text

from tests.integration.audit.conftest import MOMENT, TOKENS, World, call, entry

Log = Any
"""The log of conftest.py."""


async def ask(database: Database, query: str) -> list[Any]:
    async with database.read() as connection:
        return list((await connection.execute(text(query))).all())


async def tell(database: Database, command: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(command))


async def test_every_entry_is_proved_against_the_stored_head(log: Log) -> None:
    async with log.writer() as writer:
        for start in range(0, 300, 60):
            await writer.append([log.entry(f"e{number}") for number in range(start, start + 60)])
    head = await log.proofs.head()
    checkpoint = parse_checkpoint(open_note(head.checkpoint, parse_verifier_key(log.signer.verifier_key)))
    assert (checkpoint.size, checkpoint.root) == (300, head.tree.root)
    for index in range(0, 300, 7):
        path, size, _ = await log.proofs.inclusion(index, 0)
        leaf = (await log.proofs.entry(index)).leaf
        assert root_of(leaf_hash(leaf), index, size, path) == checkpoint.root


async def test_two_writers_make_one_log_without_gap_or_double(log: Log) -> None:
    async with log.writer() as one, log.writer() as other:
        writers = [(one, "a"), (other, "b")]
        done = await asyncio.gather(
            *(writer.append([log.entry(f"{name}{number}")]) for number in range(100) for writer, name in writers)
        )
    given = sorted(answer.acknowledgements[0].index for answer in done)
    assert given == list(range(200))
    leaves = [row[0] for row in await ask(log.database, "SELECT leaf FROM evidence_entries ORDER BY index")]
    assert (await log.proofs.head()).tree == grow(Range(), list(map(leaf_hash, leaves))).after


async def test_the_same_entry_given_to_two_writers_is_one_entry(log: Log) -> None:
    async with log.writer() as one, log.writer() as other:
        answers = await asyncio.gather(*(writer.append([log.entry("same")]) for writer in (one, other)))
    assert [answer.acknowledgements[0].index for answer in answers] == [0, 0]


WRITTEN = ("evidence_entries", "entry_ids", "access_entries", "calls", "log_days", "tiles", "inbox")


async def written(world: World) -> list[Any]:
    """All rows that a commit can write."""
    return [await world.ask(f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("heads", *WRITTEN)]  # noqa: S608 - ours


async def given(world: World, which: model.Log, name: str) -> None:
    """Gives one entry to a log."""
    if which is model.Log.ACCESS:
        await world.call(call(name))
    else:
        await world.evidence.sequencer.append([entry(name)])


async def sealed(world: World, which: model.Log, name: str) -> SealedEntry:
    """A new entry for a log, sealed under the key of its last one."""
    (key_id,) = (await world.ask(f"SELECT key_id FROM {which}_entries ORDER BY index DESC LIMIT 1"))[0]  # noqa: S608 - ours
    new = entry(name)
    if which is model.Log.ACCESS:
        token = TOKENS.of("ACCOUNT_ID", "acc_1")
        new = NewCall(name, CALL_ANSWERED, "", "gateway", b"p", MOMENT, token=token, position=9)
    return SealedEntry(new, b"salt", b"leaf", key_id, b"sealed")


def commit_on(old: Head, late: SealedEntry) -> Commit:
    """A commit of an entry, of tiles and of an event on top of a head."""
    growth = grow(old.tree, [b"x" * 32] * 256)
    new = Head(growth.after, old.epoch + 1, "late", stream_sequence=9, day=MOMENT.date())
    return Commit(old, new, [late], growth, [Delivery("audit-records", [Event("evt_1", "s", "t", MOMENT, b"")])])


async def swapped(log: OneLog, commit: Commit) -> list[bool]:
    """What both ways to commit say."""
    said = [await log.store.swap(commit)]
    async with log.store.turn() as turn:
        await turn.begin([])
        said.append(await turn.swap(commit))
    return said


@pytest.mark.parametrize("which", model.Log)
async def test_a_commit_on_an_old_head_writes_nothing(world: World, which: model.Log) -> None:
    log = world.logs[which]
    async with world.writing():
        old = await log.store.head()
        await given(world, which, "first")
        late = await sealed(world, which, "late")
    before = await written(world)
    assert await swapped(log, commit_on(old, late)) == [False, False]
    assert await written(world) == before


@pytest.mark.parametrize("which", model.Log)
async def test_a_commit_of_another_epoch_or_under_a_key_that_is_gone_writes_nothing(
    world: World, which: model.Log
) -> None:
    log = world.logs[which]
    async with world.writing():
        await given(world, which, "first")
        late = await sealed(world, which, "late")
    before, head = await written(world), await log.store.head()
    assert await swapped(log, commit_on(replace(head, epoch=9), late)) == [False, False]
    assert await swapped(log, commit_on(head, replace(late, key_id="key_gone"))) == [False, False]
    assert await written(world) == before
    assert await log.store.swap(commit_on(head, late))
    after = dict(zip(("heads", *WRITTEN), await written(world), strict=True))
    mine = {model.Log.EVIDENCE: {"evidence_entries", "entry_ids"}, model.Log.ACCESS: {"access_entries", "calls"}}
    changed = {name for name, rows in zip(after, before, strict=True) if after[name] != rows}
    assert changed == {"heads", "tiles", "inbox"} | mine[which]


async def test_a_restarted_writer_goes_on_where_the_last_ended(log: Log) -> None:
    async with log.writer() as writer:
        await writer.append([log.entry("e0"), log.entry("e1"), log.entry("e2")])
    async with log.writer() as writer:
        done = await writer.append([log.entry("e1"), log.entry("e3")])
    assert [one.index for one in done.acknowledgements] == [1, 3]


async def test_entries_and_inbox_commit_together(log: Log) -> None:
    delivery = Delivery("audit-records", [Event("evt_1", "s", "t", log.entry("x").occurred_at, b"")])
    async with log.writer() as writer:
        await writer.deliver([log.entry("e0")], delivery)
        await writer.deliver([log.entry("e0")], delivery)
    assert await ask(log.database, "SELECT consumer, event_id FROM inbox") == [("audit-records", "evt_1")]
    assert await ask(log.database, "SELECT count(*) FROM evidence_entries") == [(1,)]


async def test_a_thousand_entries_are_one_commit(log: Log) -> None:
    async with log.writer() as writer:
        done = await writer.append([log.entry(f"e{number}") for number in range(1000)])
    assert (await log.proofs.head()).epoch == 1
    checkpoint = parse_checkpoint(open_note(done.checkpoint, parse_verifier_key(log.signer.verifier_key)))
    for one in done.acknowledgements[::100]:
        leaf = (await log.proofs.entry(one.index)).leaf
        assert root_of(leaf_hash(leaf), one.index, checkpoint.size, one.path) == checkpoint.root


async def test_an_entry_that_postgresql_refuses_harms_no_other(log: Log) -> None:
    async with log.writer() as writer:
        outcomes = await asyncio.gather(
            writer.append([log.entry("good")]), writer.append([log.entry("bad\0")]), return_exceptions=True
        )
    assert [isinstance(outcome, BaseException) for outcome in outcomes] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE heads SET size = size - 1, compact_range = '\\x'",
        "UPDATE heads SET root = decode(repeat('ab', 32), 'hex')",
        "UPDATE heads SET root = decode(repeat('ab', 32), 'hex'), compact_range = decode(repeat('ab', 32), 'hex')",
        "UPDATE heads SET checkpoint = 'nonsense'",
        "DELETE FROM heads",
    ],
)
async def test_a_head_changed_in_the_database_stops_the_writer(log: Log, change: str) -> None:
    async with log.writer() as writer:
        await writer.append([log.entry("e0")])
    writer = log.sequencer()
    await writer.open()
    running = asyncio.create_task(writer.run())
    await tell(log.database, change)
    with pytest.raises(DomainError) as failed:
        await writer.append([log.entry("e1")])
    assert failed.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    with pytest.raises(LogForkedError):
        await running


async def test_a_changed_leaf_breaks_its_proof_and_its_neighbours(log: Log) -> None:
    async with log.writer() as writer:
        await writer.append([log.entry(f"e{number}") for number in range(4)])
    await tell(log.database, "UPDATE evidence_entries SET leaf = set_byte(leaf, 40, 1) WHERE index = 2")
    root = (await log.proofs.head()).tree.root
    for index in (2, 3):
        path, size, _ = await log.proofs.inclusion(index, 0)
        assert root_of(leaf_hash((await log.proofs.entry(index)).leaf), index, size, path) != root


async def test_evidence_of_no_request_is_not_everything_without_one(log: Log) -> None:
    async with log.writer() as writer:
        await writer.append([log.entry("e0"), log.entry("e1", request_id="req_1")])
    assert await log.store.entries_of("") == []
    assert [one.entry_id for one in await log.store.entries_of("req_1")] == ["e1"]
