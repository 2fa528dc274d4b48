"""Calls in the access log: sealed under their account's key, in the order of the stream, exactly once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from igstats_audit.key_tables import data_keys
from igstats_audit.leaf import commitment, decode
from igstats_audit.model import Place
from igstats_audit.revealing import RevealedCalls
from igstats_audit.tree import Range, grow, leaf_hash
from igstats_client.merkle import root_of
from igstats_client.note import open_note, parse_checkpoint, parse_verifier_key
from igstats_kit.tables import restrictions, tombstones
from prometheus_client import REGISTRY
from sqlalchemy import Table, delete, insert, update

from tests.integration.audit.conftest import MOMENT, TOKENS, call, placed

MADE_AT = datetime(2026, 11, 1, tzinfo=UTC)

World = Any
"""The world of conftest.py."""


def dropped(why: str = "fenced") -> float:
    return REGISTRY.get_sample_value("igstats_api_calls_dropped_total", {"reason": why}) or 0


async def fence(world: World, account_id: str, table: Table = tombstones) -> None:
    row = {"token": TOKENS.of("ACCOUNT_ID", account_id), "request_id": "req_1"}
    async with world.database.transaction() as connection:
        await connection.execute(insert(table), row)


async def test_a_call_is_a_leaf_a_sealed_entry_and_a_row_to_find_it_by(world: World) -> None:
    async with world.writing():
        await world.call(call("req_1", sequence=41))
    entry = await world.access.proofs.entry(0)
    leaf = decode(entry.leaf)
    assert (leaf.kind, leaf.producer, leaf.sequence) == ("call.answered", "gateway", 41)
    assert leaf.commitment == commitment(entry.salt, entry.payload)
    assert b'"ip_address":"192.0.2.7"' in entry.payload
    found = await world.ask("SELECT call_id, index AS at, called_at, status FROM calls")
    assert [tuple(row) for row in found] == [("req_1", 0, MOMENT, 0)]


async def test_no_address_stands_in_the_database_in_clear(world: World) -> None:
    async with world.writing():
        await world.call(call("req_1"))
    for query in ("SELECT t::text FROM calls t", "SELECT t::text FROM access_entries t"):
        ((row,),) = await world.ask(query)
        assert b"192.0.2.7".hex() not in row
        assert "192.0.2.7" not in row


async def test_both_logs_are_trees_of_their_own(world: World) -> None:
    async with world.writing():
        await world.call(*(call(f"req_{number}") for number in range(300)))
    head = await world.access.proofs.head()
    note = open_note(head.checkpoint, parse_verifier_key(world.access.signer.verifier_key))
    checkpoint = parse_checkpoint(note)
    assert (checkpoint.origin, checkpoint.size) == ("igstats.test/access", 300)
    for index in range(0, 300, 31):
        path, size, _ = await world.access.proofs.inclusion(index, 0)
        leaf = (await world.access.proofs.entry(index)).leaf
        assert root_of(leaf_hash(leaf), index, size, path) == checkpoint.root
    assert (await world.evidence.proofs.head()).tree.size == 0


async def test_an_event_that_comes_again_adds_nothing(world: World) -> None:
    async with world.writing():
        intake = world.intake()
        await intake.handle([placed(1, call("req_1")), placed(2, call("req_2"))])
        await intake.handle([placed(2, call("req_2")), placed(3, call("req_3"))])
    assert await intake.position() == 3
    assert [row[0] for row in await world.ask("SELECT call_id FROM calls ORDER BY index")] == [
        "req_1",
        "req_2",
        "req_3",
    ]


async def test_damaged_data_keys_cost_their_accounts_alone(world: World) -> None:
    async with world.writing():
        await world.call(call("req_1"), call("req_2", "acc_2"), call("other", "acc_3"))
        async with world.database.transaction() as connection:
            names = [TOKENS.of("ACCOUNT_ID", account).hex() for account in ("acc_2", "acc_3")]
            await connection.execute(update(data_keys).where(data_keys.c.subject.in_(names)).values(wrapped=bytes(60)))
        before = dropped("key_damaged")
        await world.call(call("req_3"), call("req_4", "acc_2"), call("more", "acc_3"), call("req_5"))
    assert dropped("key_damaged") == before + 2
    assert (await world.access.proofs.head()).tree.size == 7
    assert [row[0] for row in await world.ask("SELECT call_id FROM calls ORDER BY index")] == [
        "req_1",
        "req_2",
        "other",
        "req_3",
        "req_5",
    ]
    assert b'"call_id":"req_5"' in (await world.access.proofs.entry(6)).payload


async def test_two_processes_that_take_the_same_events_make_one_log(world: World) -> None:
    other = world.open("other")
    async with world.writing(), world.writing(other):
        intakes = (world.intake(), world.intake(other))
        for position in range(1, 40):
            event = placed(position, call(f"req_{position}"))
            await asyncio.gather(*(intake.handle([event]) for intake in intakes))
    leaves = [row[0] for row in await world.ask("SELECT leaf FROM access_entries ORDER BY index")]
    assert len(leaves) == 39
    assert (await world.access.proofs.head()).tree == grow(Range(), list(map(leaf_hash, leaves))).after
    assert await world.ask("SELECT count(DISTINCT call_id) FROM calls") == [(39,)]


async def test_an_event_that_cannot_be_read_is_passed_and_a_new_stream_starts_over(world: World) -> None:
    async with world.writing():
        intake = world.intake()
        await intake.skip(7)
        assert await intake.position() == 7
        await intake.restart(MADE_AT)
        await intake.handle([placed(1, call("req_1"))])
    assert await intake.position() == 1
    assert (await world.access.proofs.head()).tree.size == 1


async def test_the_log_knows_the_stream_that_its_position_counts_in(world: World) -> None:
    later = MADE_AT + timedelta(microseconds=1)
    async with world.writing():
        intake = world.intake()
        assert await intake.follows(MADE_AT), "the first one is its own"
        await intake.handle([placed(1, call("req_1"))])
        assert await intake.follows(MADE_AT)
        assert not await intake.follows(later)
        assert await intake.position() == 1
        await intake.restart(later)
        assert (await intake.follows(MADE_AT), await intake.follows(later)) == (False, True)
        assert await intake.position() == 0
        await intake.handle([placed(1, call("req_2"))])
    assert (await world.access.proofs.head()).tree.size == 2


async def test_calls_of_a_fenced_account_leave_their_number_and_nothing_else(world: World) -> None:
    before = dropped()
    await fence(world, "acc_1")
    async with world.writing():
        await world.call(call("req_1", sequence=1), call("req_2", "acc_2", sequence=2), call("req_3", "", sequence=3))
    assert [row[0] for row in await world.ask("SELECT call_id FROM calls ORDER BY index")] == ["req_2", "req_3"]
    ((key_id, sealed),) = await world.ask("SELECT key_id, sealed FROM access_entries WHERE index = 0")
    assert (key_id, sealed) == ("", b"")
    entries = [await world.access.proofs.entry(index) for index in range(3)]
    assert [decode(entry.leaf).sequence for entry in entries] == [1, 2, 3]
    assert [bool(entry.payload) for entry in entries] == [False, True, True]
    assert dropped() == before + 1


async def test_an_erased_account_leaves_leaves_that_nobody_opens(world: World) -> None:
    async with world.writing():
        await world.call(call("req_1"), call("req_2", "acc_2"))
    async with world.database.transaction() as connection:
        mine = data_keys.c.subject_token == TOKENS.of("ACCOUNT_ID", "acc_1")
        await connection.execute(delete(data_keys).where(mine))
    erased, living = [await world.access.proofs.entry(index) for index in range(2)]
    assert (erased.salt, erased.payload, erased.damaged) == (b"", b"", False)
    assert living.payload


async def test_a_changed_seal_is_named_damage(world: World) -> None:
    async with world.writing():
        await world.call(call("req_1"))
    await world.tell("UPDATE access_entries SET sealed = set_byte(sealed, 20, 1)")
    assert (await world.access.proofs.entry(0)).damaged


async def test_an_access_package_shows_what_is_sealed(world: World) -> None:
    async with world.writing():
        await world.call(call("req_1"))
    rows: Sequence[dict[str, Any]] = [{"call_id": "req_1", "index": 0, "day": MOMENT.date()}]
    (shown,) = await RevealedCalls(world.access.store.entries)(rows)
    assert (shown["ip_address"], shown["user_agent"], shown["method"]) == ("192.0.2.7", "curl/8", "/a.B/C")
    gone = [{"call_id": "req_1", "index": 0, "day": MOMENT.date().replace(month=1)}]
    assert await RevealedCalls(world.access.store.entries)(gone) == gone


async def test_an_access_package_shows_nothing_of_the_call_that_a_wrong_row_points_to(world: World) -> None:
    async with world.writing():
        await world.call(call("req_1"), call("req_2", "acc_2"))
    wrong = [{"call_id": "req_1", "index": 1, "day": MOMENT.date()}]
    assert await RevealedCalls(world.access.store.entries)(wrong) == wrong


@pytest.mark.parametrize("table", [tombstones, restrictions])
async def test_a_fence_that_comes_with_the_key_made_already_holds(world: World, table: Table) -> None:
    async with world.writing():
        await world.call(call("req_1"))
        await fence(world, "acc_1", table)
        await world.call(call("req_2"))
    assert [bool((await world.access.store.entries([Place(at, MOMENT.date())]))[0].payload) for at in range(2)] == [
        True,
        False,
    ]
