"""Correction, holds, portability, objection, preview and categories at a holder, on a real database."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from igstats.event.v1.events_pb2 import ProfileChanged, ValuesCorrected
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt
from igstats.holder.v1.task_pb2 import Correction, Hold, Phase, Right
from igstats_kit.errors import DomainError, Reason
from igstats_kit.fence import may_disclose
from igstats_kit.outbox import enqueue_about
from igstats_kit.pins import value_digest
from igstats_kit.tables import objections, outbox, pins, restrictions, subject_keys, tombstones
from igstats_kit.testing import coordinator as plans
from igstats_kit.testing import toy
from igstats_kit.testing.toy_holder import ToyHolder
from sqlalchemy import Column, Table, select

ANN = toy.somebody(1)
UNTIL = datetime(2027, 3, 1, tzinfo=UTC)


async def exercise(
    holder: ToyHolder,
    request: str,
    phases: Sequence[Phase.ValueType],
    right: Right.ValueType,
    *,
    corrections: Sequence[Correction] = (),
    holds: Sequence[Hold] = (),
    ended: Sequence[Right.ValueType] = (),
) -> dict[str, Receipt]:
    """Runs a request of Ann phase by phase; receipts by phase."""
    tasks = holder.coordinator.plan(
        "toy", request, ANN, phases, right, corrections=corrections, holds=holds, ended=ended
    )
    for task in tasks:
        await holder.offer(task)
    return {Phase.Name(one.phase)[6:]: one for one in await holder.receipts() if one.request_id == request}


async def column(holder: ToyHolder, wanted: Column[str]) -> list[str]:
    async with holder.database.read() as connection:
        return list((await connection.execute(select(wanted).order_by(toy.people.c.person_id))).scalars())


def hold(*stores: str, at: str = "toy") -> Hold:
    made = Hold(hold_id="hld_1", holder=at, stores=stores, ground="legal_claims")
    made.until_time.FromDatetime(UNTIL)
    return made


async def correct(holder: ToyHolder, request: str, value: str, field: str = "people.nick") -> dict[str, Receipt]:
    wrong = [Correction(field=field, value=value), Correction(field="elsewhere.name", value="x")]
    return await exercise(holder, request, plans.CORRECTION, Right.RIGHT_CORRECTION, corrections=wrong)


async def test_a_correction_outlives_the_next_sync_until_the_source_agrees(holder: ToyHolder) -> None:
    await holder.seed(1)
    await holder.seed(2)
    receipts = await correct(holder, "req_1", "Ann")
    await holder.seed(1)
    assert await column(holder, toy.people.c.nick) == ["Ann", toy.nick(toy.somebody(2))]
    assert {name: receipt.outcome for name, receipt in receipts.items()} == {
        "CORRECT": Outcome.OUTCOME_CORRECTED,
        "ATTEST": Outcome.OUTCOME_CORRECTED,
    }
    await correct(holder, "req_2", toy.nick(ANN))
    assert await holder.count(pins) == 1
    await holder.seed(1)
    assert await holder.count(pins) == 0


async def test_a_correction_tells_digests_and_never_the_values(holder: ToyHolder) -> None:
    await holder.seed(1)
    receipts = await correct(holder, "req_1", "Ann")
    for receipt in receipts.values():
        (change,) = receipt.corrected
        assert change.field == "people.nick"
        assert change.old_digest == value_digest("req_1", toy.nick(ANN))
        assert change.new_digest == value_digest("req_1", "Ann")
    async with holder.database.read() as connection:
        facts = (await connection.execute(select(outbox).where(outbox.c.subject.like("%.corrected")))).all()
    assert [fact.subject for fact in facts] == ["igstats.toy.v1.value.corrected"]
    assert list(ValuesCorrected.FromString(facts[0].data).corrected) == list(receipts["CORRECT"].corrected)
    assert b"Ann" not in facts[0].data


@pytest.mark.parametrize("field", ["people.email", "people.score", "people.shoe_size", "notes.body"])
async def test_what_is_not_correctable_needs_a_person_and_changes_nothing(holder: ToyHolder, field: str) -> None:
    await holder.seed(1)
    tasks = holder.coordinator.plan(
        "toy",
        "req_1",
        ANN,
        [Phase.PHASE_CORRECT],
        Right.RIGHT_CORRECTION,
        corrections=[Correction(field="people.nick", value="Ann"), Correction(field=field, value="Ann")],
    )
    await holder.offer(*tasks)
    (receipt,) = await holder.receipts()
    assert receipt.outcome == Outcome.OUTCOME_NEEDS_HUMAN
    assert field in receipt.explanation
    assert await column(holder, toy.people.c.nick) == [toy.nick(ANN)]
    assert await holder.count(pins) == 0


async def test_a_correction_of_somebody_not_held_pins_nothing(holder: ToyHolder) -> None:
    receipts = await correct(holder, "req_1", "Ann")
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_NOT_HELD
    assert await holder.count(pins) == 0


async def test_an_erasure_takes_the_pins_with_the_person(holder: ToyHolder) -> None:
    await holder.seed(1)
    await correct(holder, "req_1", "Ann")
    receipts = await exercise(holder, "req_2", plans.ERASURE, Right.RIGHT_ERASURE)
    assert {count.store: count.count for count in receipts["ERASE"].counts} == {"people": 1, "notes": 2, "pins": 1}
    assert receipts["SWEEP"].outcome == Outcome.OUTCOME_DONE
    assert await holder.count(pins) == 0


async def test_a_pin_whose_row_has_gone_before_is_erased_too(holder: ToyHolder) -> None:
    await holder.seed(1)
    await correct(holder, "req_1", "Ann")
    async with holder.database.transaction() as connection:
        await connection.execute(toy.notes.delete())
        await connection.execute(toy.people.delete())
    receipts = await exercise(holder, "req_2", plans.ERASURE, Right.RIGHT_ERASURE)
    assert receipts["ERASE"].outcome == Outcome.OUTCOME_ERASED
    assert await holder.count(pins) == 0


async def test_a_sweep_finds_a_pin_that_was_left(holder: ToyHolder) -> None:
    await holder.seed(1)
    await correct(holder, "req_1", "Ann")
    async with holder.database.read() as connection:
        row = (await connection.execute(select(pins))).mappings().one()
    await exercise(holder, "req_2", plans.ERASURE[:2], Right.RIGHT_ERASURE)
    async with holder.database.transaction() as connection:
        await connection.execute(pins.insert().values(dict(row)))
    receipts = await exercise(holder, "req_2", plans.ERASURE[2:3], Right.RIGHT_ERASURE)
    assert receipts["SWEEP"].outcome == Outcome.OUTCOME_NEEDS_HUMAN
    assert [count.store for count in receipts["SWEEP"].counts] == ["pins"]


async def test_a_hold_keeps_its_store_and_lets_the_rest_go(holder: ToyHolder) -> None:
    await holder.seed(1)
    receipts = await exercise(holder, "req_1", plans.ERASURE, Right.RIGHT_ERASURE, holds=[hold("people")])
    assert (await holder.count(toy.people), await holder.count(toy.notes)) == (1, 0)
    (kept,) = receipts["ATTEST"].retained
    assert (kept.store, kept.ground, kept.count) == ("people", "legal_claims", 1)
    assert kept.until_time.ToDatetime(UTC) == UNTIL
    assert {count.store: count.count for count in receipts["ATTEST"].counts} == {"notes": 2}
    assert receipts["SWEEP"].outcome == Outcome.OUTCOME_DONE
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_RETAINED


async def test_what_a_hold_keeps_is_out_of_use_and_stays_so(holder: ToyHolder) -> None:
    await holder.seed(1)
    await exercise(holder, "req_1", plans.ERASURE, Right.RIGHT_ERASURE, holds=[hold("notes")])
    await exercise(holder, "req_2", plans.LIFTING, Right.RIGHT_LIFTING)
    assert await holder.count(restrictions) == 1
    with pytest.raises(DomainError) as refused:
        await holder.seed(1)
    assert refused.value.reason is Reason.SUBJECT_ERASED


async def test_a_restriction_ends_with_the_erasure_unless_something_is_kept(holder: ToyHolder) -> None:
    """Nothing else takes it away, and retention skips what restricted persons have left: it would stay for ever."""
    await holder.seed(1)
    await exercise(holder, "req_1", plans.RESTRICTION, Right.RIGHT_RESTRICTION)
    await exercise(holder, "req_2", plans.ERASURE, Right.RIGHT_ERASURE, holds=[hold("people")])
    assert await holder.count(restrictions) == 1
    await exercise(holder, "req_3", plans.ERASURE, Right.RIGHT_ERASURE)
    assert await holder.count(restrictions) == 0
    with pytest.raises(DomainError, match="SUBJECT_ERASED"):
        await holder.seed(1)


async def test_the_owner_of_a_held_row_stays_so_that_a_release_finds_it(holder: ToyHolder) -> None:
    await holder.seed(1)
    receipts = await exercise(holder, "req_1", plans.ERASURE, Right.RIGHT_ERASURE, holds=[hold("notes")])
    assert {kept.store: kept.count for kept in receipts["ATTEST"].retained} == {"people": 1, "notes": 2}
    released = await exercise(holder, "req_2", plans.ERASURE, Right.RIGHT_ERASURE)
    assert released["ATTEST"].outcome == Outcome.OUTCOME_ERASED
    assert (await holder.count(toy.people), await holder.count(toy.notes)) == (0, 0)


async def test_a_hold_of_another_holder_holds_nothing_here(holder: ToyHolder) -> None:
    await holder.seed(1)
    receipts = await exercise(holder, "req_1", plans.ERASURE, Right.RIGHT_ERASURE, holds=[hold("people", at="stats")])
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_ERASED


async def test_a_hold_on_a_store_that_is_not_here_destroys_nothing(holder: ToyHolder) -> None:
    await holder.seed(1)
    receipts = await exercise(holder, "req_1", plans.ERASURE[:2], Right.RIGHT_ERASURE, holds=[hold("invoices")])
    assert receipts["ERASE"].outcome == Outcome.OUTCOME_NEEDS_HUMAN
    assert "invoices" in receipts["ERASE"].explanation
    assert await holder.count(toy.people) == 1


async def test_requests_with_and_without_holds_share_a_batch(holder: ToyHolder) -> None:
    people = [toy.somebody(number) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        await holder.seed(number)
    held = {2: [hold("people")]}
    tasks = [
        holder.coordinator.plan("toy", f"req_{n}", person, plans.ERASURE, Right.RIGHT_ERASURE, holds=held.get(n, []))
        for n, person in enumerate(people, 1)
    ]
    for phase in range(len(plans.ERASURE)):
        await holder.offer(*(plan[phase] for plan in tasks))
    outcomes = {one.request_id: one.outcome for one in await holder.receipts() if one.phase == Phase.PHASE_ATTEST}
    assert outcomes == {
        "req_1": Outcome.OUTCOME_ERASED,
        "req_2": Outcome.OUTCOME_RETAINED,
        "req_3": Outcome.OUTCOME_ERASED,
    }
    assert await column(holder, toy.people.c.email) == [people[1].needles[0]]


async def test_a_restored_database_keeps_what_a_hold_keeps(holder: ToyHolder) -> None:
    await holder.seed(1)
    holder.coordinator.erased("req_1", ANN, [hold("people")])
    assert await holder.replay.apply() == 1
    assert (await holder.count(toy.people), await holder.count(toy.notes)) == (1, 0)


@pytest.mark.parametrize("phases", [plans.ERASURE, plans.ERASURE[-1:]])
async def test_a_rebuilt_ledger_that_has_forgotten_a_hold_destroys_nothing_that_it_keeps(
    holder: ToyHolder, phases: Sequence[Phase.ValueType]
) -> None:
    await holder.seed(1)
    await exercise(holder, "req_1", phases, Right.RIGHT_ERASURE, holds=[hold("people")])
    holder.coordinator.erased("req_1", ANN)
    assert await holder.replay.apply() == 1
    assert await holder.replay.apply() == 0
    assert (await holder.count(toy.people), await holder.count(toy.notes)) == (1, 0)


async def test_an_erasure_that_got_no_farther_than_its_fence_is_ended_by_the_ledger(holder: ToyHolder) -> None:
    await holder.seed(1)
    await exercise(holder, "req_1", plans.ERASURE[:1], Right.RIGHT_ERASURE)
    holder.coordinator.erased("req_1", ANN)
    assert await holder.replay.apply() == 1
    assert (await holder.count(toy.people), await holder.count(toy.notes)) == (0, 0)


async def test_a_holder_restored_before_its_last_word_keeps_what_a_hold_keeps(holder: ToyHolder) -> None:
    await holder.seed(1)
    receipts = await exercise(holder, "req_1", plans.ERASURE[-1:], Right.RIGHT_ERASURE, holds=[hold("people")])
    assert (await holder.count(toy.people), await holder.count(toy.notes)) == (1, 0)
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_RETAINED
    assert [(one.store, one.count) for one in receipts["ATTEST"].retained] == [("people", 1)]


@pytest.mark.parametrize("holds", [[], [hold("people")], [hold("notes")]])
async def test_a_preview_tells_what_an_erasure_would_do_and_does_nothing(holder: ToyHolder, holds: list[Hold]) -> None:
    await holder.seed(1)
    await holder.seed(2)
    before = await _contents(holder)
    seen = await exercise(holder, "req_1", plans.PREVIEW, Right.RIGHT_PREVIEW, holds=holds)
    assert await _contents(holder) == before
    done = await exercise(holder, "req_2", plans.ERASURE, Right.RIGHT_ERASURE, holds=holds)
    assert seen["ATTEST"].outcome == Outcome.OUTCOME_DONE
    assert list(seen["ATTEST"].counts) == list(done["ATTEST"].counts)
    assert list(seen["ATTEST"].retained) == list(done["ATTEST"].retained)


async def _contents(holder: ToyHolder) -> list[list[tuple[object, ...]]]:
    tables: tuple[Table, ...] = (toy.people, toy.notes, tombstones, restrictions, subject_keys, pins)
    async with holder.database.read() as connection:
        return [[tuple(row) for row in await connection.execute(select(table))] for table in tables]


@pytest.mark.parametrize(("right", "derived"), [(Right.RIGHT_ACCESS, True), (Right.RIGHT_PORTABILITY, False)])
async def test_a_person_takes_along_what_they_provided_and_sees_all(
    holder: ToyHolder, right: Right.ValueType, *, derived: bool
) -> None:
    await holder.seed(1)
    receipts = await exercise(holder, "req_1", plans.EXPORT, right)
    pieces = holder.coordinator.exports["req_1/toy/EXPORT"]
    rows = [json.loads(line) for _, piece in pieces for line in piece.splitlines()]
    (person,) = [row for row in rows if "email" in row]
    assert ("score" in person) is derived
    assert len([row for row in rows if "body" in row]) == 2
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_EXPORTED


@pytest.mark.parametrize("right", [Right.RIGHT_OBJECTION, Right.RIGHT_OPT_OUT])
async def test_an_objection_ends_disclosure_until_the_person_opts_in(holder: ToyHolder, right: Right.ValueType) -> None:
    token = holder.tokens.of("EMAIL", ANN.identifiers["EMAIL"])
    for request in ("req_1", "req_2"):
        receipts = await exercise(holder, request, plans.OBJECTION, right)
        assert receipts["ATTEST"].outcome == Outcome.OUTCOME_OPTED_OUT
    async with holder.database.transaction() as connection:
        assert await may_disclose(connection, [token]) == set()
        (noted,) = (await connection.execute(select(objections))).all()
    assert (noted.right, noted.request_id) == (Right.Name(right).removeprefix("RIGHT_"), "req_1")
    await holder.seed(1)
    receipts = await exercise(holder, "req_3", plans.OPT_IN, Right.RIGHT_OPT_IN)
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_OPTED_IN
    async with holder.database.transaction() as connection:
        assert await may_disclose(connection, [token]) == {token}


@pytest.mark.parametrize(
    ("ended", "left"),
    [
        ([Right.RIGHT_OPT_OUT], ["OBJECTION"]),
        ([Right.RIGHT_OBJECTION], ["OPT_OUT"]),
        ([Right.RIGHT_OPT_OUT, Right.RIGHT_OBJECTION], []),
        ([], []),
    ],
)
async def test_an_opt_in_ends_the_wishes_that_its_task_names_and_all_of_them_when_it_names_none(
    holder: ToyHolder, ended: list[Right.ValueType], left: list[str]
) -> None:
    await exercise(holder, "req_1", plans.OBJECTION, Right.RIGHT_OBJECTION)
    await exercise(holder, "req_2", plans.OBJECTION, Right.RIGHT_OPT_OUT)
    receipts = await exercise(holder, "req_3", plans.OPT_IN, Right.RIGHT_OPT_IN, ended=ended)
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_OPTED_IN
    async with holder.database.read() as connection:
        assert list((await connection.execute(select(objections.c.right))).scalars()) == left


async def test_categories_are_answered_by_the_digest_of_the_description(holder: ToyHolder) -> None:
    receipts = await exercise(holder, "req_1", [Phase.PHASE_ATTEST], Right.RIGHT_CATEGORIES)
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_DONE
    assert len(receipts["ATTEST"].description_digest) == 32


async def test_an_attestation_without_an_act_is_no_success_for_other_rights(holder: ToyHolder) -> None:
    receipts = await exercise(holder, "req_1", [Phase.PHASE_ATTEST], Right.RIGHT_ACCESS)
    assert receipts["ATTEST"].outcome == Outcome.OUTCOME_NEEDS_HUMAN


async def test_nothing_is_published_about_who_restricted_processing(holder: ToyHolder) -> None:
    token, other = holder.tokens.of("EMAIL", ANN.identifiers["EMAIL"]), b"somebody else"
    await exercise(holder, "req_1", plans.RESTRICTION, Right.RIGHT_RESTRICTION)
    fact = ProfileChanged(profile_id=1)
    async with holder.database.transaction() as connection:
        assert not await enqueue_about(connection, [token, other], "igstats.toy.v1.profile.changed", fact)
        assert await enqueue_about(connection, [other], "igstats.toy.v1.profile.changed", fact)
    async with holder.database.read() as connection:
        wanted = select(outbox).where(outbox.c.subject == "igstats.toy.v1.profile.changed")
        assert len((await connection.execute(wanted)).all()) == 1
