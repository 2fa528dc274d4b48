"""What the kit derives from declarations, on a real database."""

import json

import pytest
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_kit.errors import DomainError, Reason
from igstats_kit.tables import subject_keys, task_receipts
from igstats_kit.testing import toy
from igstats_kit.testing.coordinator import ERASURE
from igstats_kit.testing.toy_holder import ToyHolder


async def test_an_erasure_deletes_the_person_and_nobody_else(holder: ToyHolder) -> None:
    await holder.seed(1)
    await holder.seed(2)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    for task in tasks:
        await holder.offer(task)
    outcomes = [receipt.outcome for receipt in await holder.receipts()]
    assert outcomes == [Outcome.OUTCOME_DONE, Outcome.OUTCOME_ERASED, Outcome.OUTCOME_DONE, Outcome.OUTCOME_ERASED]
    erased = (await holder.receipts())[1]
    assert {count.store: count.count for count in erased.counts} == {"people": 1, "notes": 2}
    assert await holder.count(toy.people) == 1
    assert await holder.count(toy.notes) == 2
    assert await holder.count(subject_keys) == 0


async def test_a_batch_settles_many_requests_in_one_go(holder: ToyHolder) -> None:
    people = range(1, 21)
    for number in people:
        await holder.seed(number)
    plans = [holder.coordinator.plan("toy", f"req_{n}", toy.somebody(n), ERASURE, Right.RIGHT_ERASURE) for n in people]
    for phase in range(len(ERASURE)):
        await holder.offer(*(plan[phase] for plan in plans))
    attested = [receipt for receipt in await holder.receipts() if receipt.phase == Phase.PHASE_ATTEST]
    assert {receipt.outcome for receipt in attested} == {Outcome.OUTCOME_ERASED}
    assert len(attested) == len(people)
    assert await holder.count(toy.people) == 0


async def test_an_erased_person_is_refused(holder: ToyHolder) -> None:
    await holder.seed(1)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await holder.offer(tasks[0])
    with pytest.raises(DomainError) as refused:
        await holder.seed(1)
    assert refused.value.reason is Reason.SUBJECT_ERASED


async def test_a_person_not_held_is_said_to_be_not_held(holder: ToyHolder) -> None:
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(9), ERASURE, Right.RIGHT_ERASURE)
    for task in tasks:
        await holder.offer(task)
    assert (await holder.receipts())[-1].outcome == Outcome.OUTCOME_NOT_HELD


async def test_a_second_deletion_of_the_same_person_ends_well(holder: ToyHolder) -> None:
    await holder.seed(1)
    for request in ("req_1", "req_2"):
        for task in holder.coordinator.plan("toy", request, toy.somebody(1), ERASURE, Right.RIGHT_ERASURE):
            await holder.offer(task)
    attested = [receipt.outcome for receipt in await holder.receipts() if receipt.phase == Phase.PHASE_ATTEST]
    assert attested == [Outcome.OUTCOME_ERASED, Outcome.OUTCOME_NOT_HELD]


async def test_a_repeated_task_gets_the_same_receipt(holder: ToyHolder) -> None:
    await holder.seed(1)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await holder.offer(*tasks[:2])
    await holder.offer(*tasks[:2])
    first, again = (await holder.receipts())[:2], (await holder.receipts())[2:]
    assert sorted(first, key=lambda r: r.phase) == sorted(again, key=lambda r: r.phase)
    assert await holder.count(task_receipts) == 2


async def test_a_sweep_names_the_place_of_a_stray_copy_and_not_its_value(holder: ToyHolder) -> None:
    await holder.seed(1)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await holder.offer(tasks[0])
    await holder.offer(tasks[1])
    async with holder.database.transaction() as connection:
        stray = {"subject_token": b"other", "email": "person-1@toy.example"}
        await connection.execute(toy.people.insert(), stray)
    await holder.offer(tasks[2])
    swept = (await holder.receipts())[-1]
    assert swept.outcome == Outcome.OUTCOME_NEEDS_HUMAN
    assert [count.store for count in swept.counts] == ["people.email"]
    assert "toy.example" not in swept.SerializeToString().decode(errors="replace")


async def test_a_sweep_that_needed_a_person_is_done_anew_when_it_is_offered_again(holder: ToyHolder) -> None:
    await holder.seed(1)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await holder.offer(*tasks[:2])
    stray = {"subject_token": b"other", "email": "person-1@toy.example"}
    async with holder.database.transaction() as connection:
        await connection.execute(toy.people.insert(), stray)
    await holder.offer(tasks[2])
    async with holder.database.transaction() as connection:
        await connection.execute(toy.people.delete())
    await holder.offer(tasks[2])
    outcomes = [receipt.outcome for receipt in await holder.receipts() if receipt.phase == Phase.PHASE_SWEEP]
    assert outcomes == [Outcome.OUTCOME_NEEDS_HUMAN, Outcome.OUTCOME_DONE]


async def test_a_restored_database_heals_from_the_ledger_and_its_receipt_counts_it(holder: ToyHolder) -> None:
    await holder.seed(1)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    holder.coordinator.erased("req_1", toy.somebody(1))
    assert await holder.replay.apply() == 1
    assert await holder.replay.apply() == 0
    assert await holder.count(toy.people) == 0
    for task in tasks:
        await holder.offer(task)
    erased = next(receipt for receipt in await holder.receipts() if receipt.phase == Phase.PHASE_ATTEST)
    assert {count.store: count.count for count in erased.counts} == {"people": 1, "notes": 2}


async def test_a_holder_restored_between_erasing_and_its_last_word_erases_again_and_gives_it(holder: ToyHolder) -> None:
    await holder.seed(1)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await holder.offer(tasks[-1])  # the database has never heard of the phases before
    (said,) = await holder.receipts()
    assert (said.phase, said.outcome) == (Phase.PHASE_ATTEST, Outcome.OUTCOME_ERASED)
    assert {count.store: count.count for count in said.counts} == {"people": 1, "notes": 2}
    assert await holder.count(toy.people) == await holder.count(subject_keys) == 0
    with pytest.raises(DomainError, match="SUBJECT_ERASED"):
        await holder.seed(1)


async def test_an_export_holds_the_persons_rows_and_nobody_elses(holder: ToyHolder) -> None:
    await holder.seed(1)
    await holder.seed(2)
    phases = (Phase.PHASE_EXPORT, Phase.PHASE_ATTEST)
    tasks = holder.coordinator.plan("toy", "req_1", toy.somebody(1), phases, Right.RIGHT_ACCESS)
    for task in tasks:
        await holder.offer(task)
    lines = [json.loads(line) for _, piece in holder.coordinator.exports[tasks[0]] for line in piece.splitlines()]
    assert [row["body"] for row in lines if "body" in row] == [
        "first note to person-1@toy.example",
        "second note to person-1@toy.example",
    ]
    assert "person-2" not in json.dumps(lines)
    assert (await holder.receipts())[-1].outcome == Outcome.OUTCOME_EXPORTED


async def test_a_restriction_keeps_the_data_and_refuses_new(holder: ToyHolder) -> None:
    await holder.seed(1)
    restrict = holder.coordinator.plan("toy", "req_1", toy.somebody(1), [Phase.PHASE_RESTRICT], Right.RIGHT_RESTRICTION)
    await holder.offer(*restrict)
    with pytest.raises(DomainError) as refused:
        await holder.seed(1)
    assert refused.value.reason is Reason.SUBJECT_RESTRICTED
    assert await holder.count(toy.people) == 1
    lift = holder.coordinator.plan("toy", "req_2", toy.somebody(1), [Phase.PHASE_LIFT], Right.RIGHT_LIFTING)
    await holder.offer(*lift)
    await holder.seed(1)
    assert await holder.count(toy.notes) == 4
