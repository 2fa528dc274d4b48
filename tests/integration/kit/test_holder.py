"""What the kit derives from declarations, on a real database."""

import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from igstats.holder.v1.holder_tasks_service_pb2 import ExportShare, UploadExportRequest, UploadExportResponse
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_kit.declare import DeclarationError
from igstats_kit.errors import DomainError, Reason, TooMuchError
from igstats_kit.subjects import Case, Result
from igstats_kit.tables import subject_keys, task_receipts
from igstats_kit.testing import toy
from igstats_kit.testing.coordinator import ERASURE
from igstats_kit.testing.toy_holder import BACKUPS, ToyHolder
from sqlalchemy import Column, MetaData, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def test_a_holder_with_a_table_that_says_nothing_of_its_data_does_not_register(
    holder: ToyHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = Table("loose", MetaData(), Column("name", Text))
    monkeypatch.setitem(toy.DECLARATIONS.tables, "loose", loose)
    with pytest.raises(DeclarationError, match="table loose has no data declaration"):
        await holder.runner.register()


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


async def test_a_batch_that_is_too_much_for_the_database_is_done_one_by_one(
    holder: ToyHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, erase = range(1, 4), holder.subjects.erase

    async def too_much(connection: AsyncConnection, cases: Sequence[Case], **options: bool) -> dict[str, Result]:
        if len(cases) > 1:
            raise TooMuchError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")
        return await erase(connection, cases, **options)

    monkeypatch.setattr(holder.subjects, "erase", too_much)
    for number in people:
        await holder.seed(number)
    plans = [holder.coordinator.plan("toy", f"req_{n}", toy.somebody(n), ERASURE, Right.RIGHT_ERASURE) for n in people]
    await holder.offer(*(plan[0] for plan in plans))
    await holder.offer(*(plan[1] for plan in plans))
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
    assert said.effective_time.ToDatetime() - said.executed_time.ToDatetime() >= BACKUPS
    assert {count.store: count.count for count in said.counts} == {"people": 1, "notes": 2}
    assert await holder.count(toy.people) == await holder.count(subject_keys) == 0
    with pytest.raises(DomainError, match="SUBJECT_ERASED"):
        await holder.seed(1)


@pytest.mark.parametrize("held", [True, False])
async def test_an_erasure_names_the_day_when_backups_are_gone_and_the_last_word_repeats_it(
    holder: ToyHolder, *, held: bool
) -> None:
    if held:
        await holder.seed(1)
    for task in holder.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE):
        await holder.offer(task)
    said = {receipt.phase: receipt for receipt in await holder.receipts()}
    erased = said[Phase.PHASE_ERASE]
    assert erased.effective_time.ToDatetime() - erased.executed_time.ToDatetime() >= BACKUPS
    assert said[Phase.PHASE_ATTEST].effective_time == erased.effective_time
    dated = {phase for phase, receipt in said.items() if receipt.HasField("effective_time")}
    assert dated == {Phase.PHASE_ERASE, Phase.PHASE_ATTEST}


async def test_without_backups_no_word_holds_before_it_is_said(holder: ToyHolder) -> None:
    bare = ToyHolder(holder.database, backups=timedelta())
    await bare.seed(1)
    for task in bare.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE):
        await bare.offer(task)
    dated = [receipt for receipt in await bare.receipts() if receipt.HasField("effective_time")]
    assert [receipt.phase for receipt in dated] == [Phase.PHASE_ERASE, Phase.PHASE_ATTEST]
    assert all(one.effective_time.ToDatetime() >= one.executed_time.ToDatetime() for one in dated)


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


def exports(holder: ToyHolder, people: Iterable[int], right: Right.ValueType = Right.RIGHT_ACCESS) -> list[str]:
    """Plans an export for each of the persons."""
    return [holder.coordinator.plan("toy", f"req_{n}", toy.somebody(n), [Phase.PHASE_EXPORT], right)[0] for n in people]


def sent(holder: ToyHolder, task: str) -> list[dict[str, Any]]:
    """The rows that came for a task."""
    return [json.loads(line) for _, lines in holder.coordinator.exports[task] for line in lines.splitlines()]


async def test_exports_that_are_offered_together_go_in_one_upload_and_each_holds_its_own_person(
    holder: ToyHolder,
) -> None:
    people = range(1, 6)
    for number in people:
        await holder.seed(number)
    tasks = exports(holder, people)
    tasks += exports(holder, [6], Right.RIGHT_PORTABILITY)  # of whom nothing is held
    await holder.offer(*tasks)
    assert holder.coordinator.uploads == [tasks]
    for number, task in zip(people, tasks, strict=False):
        assert {value for row in sent(holder, task) for value in row.values() if "@" in value} == {
            *(f"{what} person-{number}@toy.example" for what in ("score of", "nick of", "first note to")),
            *(f"second note to person-{number}@toy.example", f"person-{number}@toy.example"),
        }
    assert sent(holder, tasks[-1]) == []
    counts = {one.task_id: {count.store: count.count for count in one.counts} for one in await holder.receipts()}
    assert counts == {task: {"people": 1, "notes": 2} for task in tasks[:-1]} | {tasks[-1]: {}}
    assert await holder.count(task_receipts) == len(tasks)


async def test_an_access_and_a_portability_request_in_one_upload_each_hold_what_is_theirs(holder: ToyHolder) -> None:
    await holder.seed(1)
    (access,) = exports(holder, [1])
    (portable,) = holder.coordinator.plan(
        "toy", "req_p", toy.somebody(1), [Phase.PHASE_EXPORT], Right.RIGHT_PORTABILITY
    )
    await holder.offer(access, portable)
    assert len(holder.coordinator.uploads) == 1
    assert any("score" in row for row in sent(holder, access))
    assert not any("score" in row for row in sent(holder, portable))
    assert len(sent(holder, access)) == len(sent(holder, portable)) == 3


async def test_a_person_whose_export_is_refused_does_not_hold_up_the_others_and_in_the_end_a_person_looks(
    holder: ToyHolder,
) -> None:
    for number in (1, 2, 3):
        await holder.seed(number)
    tasks = exports(holder, (1, 2, 3))
    holder.coordinator.refused = {tasks[1]}
    with pytest.raises(DomainError) as refused:
        await holder.offer(*tasks)
    assert refused.value.reason is Reason.SUBJECT_ERASED
    assert {one.task_id for one in await holder.receipts()} == {tasks[0], tasks[2]}
    for attempts in range(2, 6):
        with pytest.raises(DomainError):
            await holder.offer(tasks[1], attempts=attempts)
    await holder.offer(tasks[1], attempts=6)
    said = (await holder.receipts())[-1]
    assert (said.task_id, said.outcome) == (tasks[1], Outcome.OUTCOME_NEEDS_HUMAN)
    holder.coordinator.refused = set()
    await holder.offer(tasks[1], attempts=7)
    assert (await holder.receipts())[-1].outcome == Outcome.OUTCOME_EXPORTED


async def test_more_exports_than_go_together_go_in_several_uploads(holder: ToyHolder) -> None:
    tasks = exports(holder, range(1, 101))
    await holder.offer(*tasks)
    assert [len(upload) for upload in holder.coordinator.uploads] == [64, 36]
    assert {one.outcome for one in await holder.receipts()} == {Outcome.OUTCOME_EXPORTED}


async def test_a_repeated_export_is_not_sent_again(holder: ToyHolder) -> None:
    await holder.seed(1)
    tasks = exports(holder, [1, 2])
    await holder.offer(tasks[0])
    await holder.offer(*tasks)
    assert holder.coordinator.uploads == [[tasks[0]], [tasks[1]]]
    first, *others = await holder.receipts()
    assert [one for one in others if one.task_id == tasks[0]] == [first]


async def test_a_privacy_that_did_not_get_what_was_sent_is_waited_for_and_nothing_is_said(holder: ToyHolder) -> None:
    await holder.seed(1)
    holder.coordinator.deaf = True  # as one of a release that knows no pieces
    tasks = exports(holder, [1])
    for _ in range(8):
        with pytest.raises(DomainError) as waiting:
            await holder.offer(*tasks)
        assert waiting.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert await holder.receipts() == []
    holder.coordinator.deaf = False
    await holder.offer(*tasks)
    assert len(sent(holder, tasks[0])) == 3


async def test_an_export_of_a_person_who_has_very_much_is_never_in_memory_as_a_whole(holder: ToyHolder) -> None:
    await holder.seed(1)
    await holder.seed(2)
    async with holder.database.transaction() as connection:
        many = "INSERT INTO notes (person_id, body, created_at) SELECT 1, repeat('x', 2000), now() FROM"
        await connection.execute(text(f"{many} generate_series(1, 10000)"))
    tasks = exports(holder, [1, 2])
    sizes: list[int] = []

    async def upload(messages: AsyncIterator[UploadExportRequest]) -> UploadExportResponse:
        digests = {task: hashlib.sha256() for task in tasks}
        async for message in messages:
            sizes.append(message.ByteSize())
            for piece in message.pieces:
                digests[piece.task_id].update(piece.lines)
        shares = [ExportShare(task_id=task, digest=digest.digest()) for task, digest in digests.items()]
        return UploadExportResponse(shares=shares)

    holder.coordinator.upload = upload
    tracemalloc.start()
    try:
        await holder.offer(*tasks)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) > 20_000_000
    assert max(sizes) < 300_000
    assert most < 10_000_000
    counts = [{count.store: count.count for count in one.counts} for one in await holder.receipts()]
    assert counts == [{"people": 1, "notes": 10_002}, {"people": 1, "notes": 2}]


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
