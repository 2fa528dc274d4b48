"""The one writer: groups, orders, repeats nothing, proves everything, and refuses to sign what is not its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from igstats_audit.errors import KeyDamagedError, LogForkedError
from igstats_audit.leaf import commitment, decode
from igstats_audit.model import DataKey, Delivery, Head, NewCall, NewEntry, Withheld
from igstats_audit.model import Log as Kind
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer
from igstats_audit.tiles import Tiles
from igstats_audit.tree import Range, grow, leaf_hash
from igstats_client.merkle import root_of
from igstats_client.note import open_note, parse_checkpoint, parse_verifier_key
from igstats_kit.errors import DomainError, Reason, passes
from igstats_kit.testing.clock import FakeClock

Log = Any
"""MemoryLog of conftest.py."""

MOMENT = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)


def entry(number: int, *, payload: bytes = b"", entry_id: str = "") -> NewEntry:
    return NewEntry(entry_id or f"e{number}", "test.made", "req_1", "stats", payload or b"p%d" % number, MOMENT)


@contextlib.asynccontextmanager
async def running(log: Log, signer: NoteSigner) -> AsyncIterator[Sequencer]:
    sequencer = Sequencer(log, Proofs(log, Tiles(log)), signer, FakeClock(MOMENT))
    await sequencer.open()
    worker = asyncio.create_task(sequencer.run())
    try:
        yield sequencer
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


async def test_an_entry_is_acknowledged_with_a_proof_that_verifies(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        for number in range(7):
            done = await sequencer.append([entry(number)])
            checkpoint = parse_checkpoint(open_note(done.checkpoint, parse_verifier_key(note_signer.verifier_key)))
            (proved,) = done.acknowledgements
            leaf = memory_log.kept[proved.index].leaf
            assert root_of(leaf_hash(leaf), proved.index, checkpoint.size, proved.path) == checkpoint.root


async def test_the_leaf_commits_to_the_payload_and_names_the_producer(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.append([entry(1)])
    (kept,) = memory_log.kept
    leaf = decode(kept.leaf)
    assert (leaf.kind, leaf.producer, leaf.minute) == ("test.made", "stats", MOMENT.replace(second=0))
    assert leaf.commitment == commitment(kept.salt, b"p1")


async def test_what_waits_together_is_committed_together(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        done = await asyncio.gather(*(sequencer.append([entry(number)]) for number in range(50)))
    assert memory_log.commits < 5
    assert [one.acknowledgements[0].index for one in done] == list(range(50))


async def test_once_a_commit_was_shared_the_next_takes_along_those_on_their_way(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    async with running(memory_log, note_signer) as sequencer:
        await asyncio.gather(*(sequencer.append([entry(number)]) for number in range(2)))
        before = memory_log.commits

        async def on_its_way(number: int) -> None:
            turns = 0
            while turns < number:
                turns += 1
                await asyncio.sleep(0)
            await sequencer.append([entry(number + 2)])

        await asyncio.gather(*(on_its_way(number) for number in range(20)))
    assert memory_log.commits == before + 1


async def test_a_repeated_entry_gets_the_place_of_the_first_and_a_new_proof(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.append([entry(number) for number in range(5)])
        done = await sequencer.append([entry(2), entry(9), entry(0)])
    checkpoint = parse_checkpoint(done.checkpoint.partition("\n\n")[0] + "\n")
    assert [one.index for one in done.acknowledgements] == [2, 5, 0]
    assert checkpoint.size == 6
    for one in done.acknowledgements:
        assert root_of(leaf_hash(memory_log.kept[one.index].leaf), one.index, 6, one.path) == checkpoint.root


async def test_repeating_alone_changes_nothing(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        first = await sequencer.append([entry(1)])
        again = await sequencer.append([entry(1)])
    assert again == first
    assert len(memory_log.kept) == 1


async def test_the_same_entry_twice_in_one_batch_is_one_entry(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        done = await sequencer.append([entry(1), entry(1)])
    assert [one.index for one in done.acknowledgements] == [0, 0]


async def test_an_id_with_another_content_is_refused_and_harms_no_other(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.append([entry(1)])
        reused, fine = await asyncio.gather(
            sequencer.append([entry(2), entry(1, payload=b"other")]),
            sequencer.append([entry(3)]),
            return_exceptions=True,
        )
    assert isinstance(reused, DomainError)
    assert (reused.reason, reused.metadata) == (Reason.IDEMPOTENCY_KEY_REUSED, {"entry_id": "e1"})
    assert not isinstance(fine, BaseException)
    assert [one.entry_id for one in memory_log.kept] == ["e1", "e3"]


async def test_an_id_with_two_contents_in_one_batch_is_refused(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        with pytest.raises(DomainError) as refused:
            await sequencer.append([entry(1), entry(1, payload=b"other")])
    assert refused.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


OTHERS = [{"kind": "test.other"}, {"producer": "gateway"}, {"request_id": "req_2"}, {"payload": b"other"}]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: next(iter(other)))
async def test_an_id_is_the_same_entry_only_with_the_same_kind_producer_request_and_payload(
    memory_log: Log, note_signer: NoteSigner, other: dict[str, Any]
) -> None:
    async with running(memory_log, note_signer) as sequencer:
        first = await sequencer.append([entry(1)])
        for given in ([replace(entry(1), **other)], [entry(2), replace(entry(2), **other)]):
            with pytest.raises(DomainError) as refused:
                await sequencer.append(given)
            assert refused.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
        memory_log.kept[0] = replace(memory_log.kept[0], salt=b"", payload=b"")
        with contextlib.suppress(DomainError):
            await sequencer.append([replace(entry(1), **other)])
            assert "payload" in other, "which payload an erased entry had nobody can tell"
        assert (await sequencer.append([entry(1)])).acknowledgements == first.acknowledgements
    assert [one.entry_id for one in memory_log.kept] == ["e1"]


async def test_two_callers_with_one_id_and_two_contents_get_one_place(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        outcomes = await asyncio.gather(
            sequencer.append([entry(1)]), sequencer.append([entry(1, payload=b"other")]), return_exceptions=True
        )
    assert [isinstance(outcome, DomainError) for outcome in outcomes] == [False, True]


async def test_names_that_do_not_fit_a_leaf_are_refused(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        with pytest.raises(DomainError) as refused:
            await sequencer.append([entry(0), replace(entry(1), kind="k" * 40)])
    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.violations[0].field == "entries[1]"


async def test_a_commit_that_was_overtaken_is_built_again(memory_log: Log, note_signer: NoteSigner) -> None:
    memory_log.overtaken = 2
    async with running(memory_log, note_signer) as sequencer:
        done = await sequencer.append([entry(1)], Delivery("audit-records", ["event"]))
    assert done.acknowledgements[0].index == 0
    assert len(memory_log.claimed) == 1


async def test_a_writer_that_is_overtaken_for_ever_gives_up_without_effect(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    memory_log.overtaken = 100
    async with running(memory_log, note_signer) as sequencer:
        with pytest.raises(DomainError) as failed:
            await sequencer.deliver([entry(1)], Delivery("audit-records", ["event"]))
    assert failed.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert not memory_log.kept
    assert not memory_log.claimed


async def test_a_failed_commit_reaches_the_caller_and_can_be_repeated(memory_log: Log, note_signer: NoteSigner) -> None:
    memory_log.failures = [DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")]
    async with running(memory_log, note_signer) as sequencer:
        with pytest.raises(DomainError):
            await sequencer.append([entry(1)])
        done = await sequencer.append([entry(1)])
    assert done.acknowledgements[0].index == 0


async def test_an_entry_that_the_database_refuses_fails_alone(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        outcomes = await asyncio.gather(
            sequencer.append([entry(1)]),
            sequencer.append([entry(2, entry_id="zero\0")]),
            sequencer.append([entry(3)]),
            return_exceptions=True,
        )
        await sequencer.append([entry(4)])
    assert [isinstance(outcome, ValueError) for outcome in outcomes] == [False, True, False]
    assert [one.entry_id for one in memory_log.kept] == ["e1", "e3", "e4"]


async def test_a_caller_that_leaves_does_not_stop_the_log(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        leaver = asyncio.create_task(sequencer.append([entry(1)]))
        stayer = asyncio.create_task(sequencer.append([entry(2)]))
        await asyncio.wait([leaver], timeout=0)
        leaver.cancel()
        assert (await stayer).acknowledgements[0].entry_id == "e2"


async def test_a_writer_that_is_told_to_end_finishes_its_commit_and_leaves_nobody_waiting(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    memory_log.gate.clear()
    async with running(memory_log, note_signer) as sequencer:
        begun = asyncio.create_task(sequencer.append([entry(1)]))
        await memory_log.waiting.wait()
        late = asyncio.create_task(sequencer.append([entry(2)]))
        await asyncio.wait([late], timeout=0)
        asyncio.get_running_loop().call_soon(memory_log.gate.set)
    assert (await begun).acknowledgements[0].index == 0
    for refused in (late, sequencer.append([entry(3)])):
        with pytest.raises(DomainError) as error:
            await refused
        assert error.value.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_a_writer_that_is_told_to_end_while_others_may_still_join_leaves_nobody_waiting(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    async with running(memory_log, note_signer) as sequencer:
        await asyncio.gather(sequencer.append([entry(1)]), sequencer.append([entry(2)]))
        late = asyncio.create_task(sequencer.append([entry(3)]))
        await asyncio.wait([late], timeout=0)
    with pytest.raises(DomainError) as error:
        await late
    assert error.value.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_events_without_entries_are_recorded_as_handled(memory_log: Log, note_signer: NoteSigner) -> None:
    delivery = Delivery("audit-requests", ["event"])
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.deliver([], delivery)
    assert memory_log.claimed == [delivery]
    assert memory_log.newest.tree.size == 0


def forged(head: Head) -> Head:
    other = grow(head.tree, [b"x" * 32]).after
    return replace(head, tree=other)


async def test_a_changed_head_stops_the_log(memory_log: Log, note_signer: NoteSigner) -> None:
    sequencer = Sequencer(memory_log, Proofs(memory_log, Tiles(memory_log)), note_signer, FakeClock(MOMENT))
    await sequencer.open()
    memory_log.newest = forged(memory_log.newest)
    worker = asyncio.create_task(sequencer.run())
    with pytest.raises(DomainError):
        await sequencer.append([entry(1)])
    with pytest.raises(LogForkedError):
        await worker


async def test_a_changed_head_is_not_opened(memory_log: Log, note_signer: NoteSigner) -> None:
    await Sequencer(memory_log, Proofs(memory_log, Tiles(memory_log)), note_signer, FakeClock(MOMENT)).open()
    memory_log.newest = forged(memory_log.newest)
    with pytest.raises(LogForkedError):
        await Sequencer(memory_log, Proofs(memory_log, Tiles(memory_log)), note_signer, FakeClock(MOMENT)).open()


async def test_a_head_that_went_back_stops_the_log_that_signed_more(memory_log: Log, note_signer: NoteSigner) -> None:
    sequencer = Sequencer(memory_log, Proofs(memory_log, Tiles(memory_log)), note_signer, FakeClock(MOMENT))
    await sequencer.open()
    worker = asyncio.create_task(sequencer.run())
    await sequencer.append([entry(1)])
    text = Checkpoint(note_signer.name, 0, Range().root).text
    memory_log.newest, memory_log.kept = Head(Range(), 7, note_signer.sign(text)), []
    with pytest.raises(DomainError):
        await sequencer.append([entry(2)])
    with pytest.raises(LogForkedError):
        await worker


async def test_only_the_first_commit_takes_a_turn(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        for number in range(5):
            await sequencer.append([entry(number)])
    assert (memory_log.turns, memory_log.commits) == (1, 5)


async def test_a_key_that_was_erased_is_not_sealed_with_again(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.append([entry(1)])
        memory_log.data_keys.clear()
        memory_log.data_keys["req_1"] = DataKey("key_new", b"k" * 32)
        await sequencer.append([entry(2)])
    assert memory_log.turns == 2
    assert memory_log.kept[1].payload == b"p2"


def call(name: str, position: int, token: bytes | None = b"t") -> NewCall:
    return NewCall(name, "call.answered", "", "gateway", name.encode(), MOMENT, 0, 0, token, position)


async def test_calls_that_the_stream_brings_again_are_passed_and_those_of_the_fenced_are_emptied(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    memory_log.log, memory_log.fenced = Kind.ACCESS, {b"bad"}
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.deliver([call("a", 1), call("b", 2, b"bad")], Delivery("gateway", [], 2))
        done = await sequencer.deliver([call("b", 2), call("c", 3, None)], Delivery("gateway", [], 3))
    assert [one.payload for one in memory_log.kept] == [b"a", b"", b"c"]
    assert (list(done.indexes), memory_log.newest.stream_sequence) == ([2], 3)


async def test_damaged_keys_cost_the_calls_of_their_own_accounts_only(memory_log: Log, note_signer: NoteSigner) -> None:
    memory_log.log, memory_log.damaged, memory_log.fenced = Kind.ACCESS, {b"x".hex(), b"y".hex()}, {b"f"}
    accounts = {"a": b"t", "b": b"x", "c": None, "d": b"y", "e": b"f"}
    calls = [call(name, 1, token) for name, token in accounts.items()]
    async with running(memory_log, note_signer) as sequencer:
        done = await sequencer.deliver(calls, Delivery("gateway", [], 1))
    assert [one.payload for one in memory_log.kept] == [b"a", b"", b"c", b"", b""]
    assert done.withheld == {Withheld.KEY_DAMAGED: 2, Withheld.FENCED: 1}


async def test_calls_of_a_damaged_key_alone_do_not_stop_the_log(memory_log: Log, note_signer: NoteSigner) -> None:
    memory_log.log, memory_log.damaged = Kind.ACCESS, {b"x".hex()}
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.deliver([call("a", 1, b"x")], Delivery("gateway", [], 1))
        memory_log.damaged.clear()
        await sequencer.deliver([call("b", 2, b"x")], Delivery("gateway", [], 2))
    assert [one.payload for one in memory_log.kept] == [b"", b"b"]


async def test_evidence_under_a_damaged_key_is_refused_and_never_dropped(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    memory_log.damaged = {"req_2"}
    async with running(memory_log, note_signer) as sequencer:
        other = sequencer.append([replace(entry(2), request_id="req_2")])
        done, failed = await asyncio.gather(sequencer.append([entry(1)]), other, return_exceptions=True)
    assert not isinstance(done, BaseException)
    assert isinstance(failed, KeyDamagedError)
    assert [one.entry_id for one in memory_log.kept] == ["e1"]


@pytest.mark.parametrize("log", list(Kind))
async def test_a_lost_key_of_the_day_makes_the_log_wait(memory_log: Log, note_signer: NoteSigner, log: Kind) -> None:
    memory_log.log, memory_log.lost = log, True
    async with running(memory_log, note_signer) as sequencer:
        with pytest.raises(DomainError) as refused:
            await sequencer.deliver([call("a", 1)], Delivery("gateway", [], 1))
        assert passes(refused.value)
        memory_log.lost = False
        await sequencer.deliver([call("a", 1)], Delivery("gateway", [], 1))
    assert [one.payload for one in memory_log.kept] == [b"a"]


async def test_a_day_never_goes_back(memory_log: Log, note_signer: NoteSigner) -> None:
    async with running(memory_log, note_signer) as sequencer:
        await sequencer.append([entry(1)])
        memory_log.newest = replace(memory_log.newest, day=MOMENT.date() + timedelta(days=1), epoch=2)
        await sequencer.append([entry(2)])
    assert [one.day.day for one in memory_log.kept] == [23, 24]
