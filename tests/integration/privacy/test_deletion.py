"""A deletion from acceptance to its end, with holders that are slow, wrong, late, switched off or forged."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Right
from igstats_kit.events import Event
from igstats_privacy.model import Cause, Phase, State, TaskState
from igstats_privacy.model import Right as Exercised

from tests.integration.privacy.conftest import FakeHolder, Office

HOLDERS = ("audit", "gateway", "privacy", "stats")
WEEK = timedelta(days=7)


async def finish(office: Office, request_id: str) -> State:
    await office.work()
    office.clock.advance(WEEK)
    await office.reconciler.sweep()
    return await office.state(request_id)


async def test_a_deletion_goes_through_every_phase_and_waits_for_the_backups(office: Office) -> None:
    await office.register(*HOLDERS)
    request_id = await office.accepted()
    assert await office.state(request_id) is State.FENCING
    await office.work()
    shown = await office.show(request_id)
    assert shown.request.state is State.SETTLING
    assert shown.request.effective_at == office.clock.now() + WEEK
    assert [task.state for task in shown.tasks] == [TaskState.SETTLED] * 16
    office.clock.advance(WEEK)
    await office.reconciler.sweep()
    assert await office.state(request_id) is State.FULFILLED


async def test_the_closing_lists_every_holder_with_its_last_word(office: Office) -> None:
    await office.register(*HOLDERS)
    request_id = await office.accepted()
    await finish(office, request_id)
    (closed,) = await office.closings()
    assert (closed.request_id, closed.state) == (request_id, "REQUEST_STATE_FULFILLED")
    assert [word.holder for word in closed.holders] == list(HOLDERS)
    assert {word.outcome for word in closed.holders} == {"OUTCOME_ERASED"}
    assert all(len(word.receipt_digest) == 32 for word in closed.holders)


async def test_every_change_of_state_is_published_once_and_in_order(office: Office) -> None:
    await office.register("stats")
    await finish(office, await office.accepted())
    states = ["UNSPECIFIED", "RECEIVED", "FENCING", "EXECUTING", "VERIFYING", "SETTLING", "FULFILLED"]
    names = [f"REQUEST_STATE_{state}" for state in states]
    assert await office.changed() == list(pairwise(names))


async def test_a_phase_opens_when_the_last_holder_has_settled_the_one_before(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    offers = await office.offered()
    assert offers == {name: [f"{request_id}/{name}/FENCE"] for name in ("gateway", "stats")}
    await office.consumer.handle([office.holders["stats"].issue(offers["stats"])])
    assert await office.offered() == {}
    assert await office.state(request_id) is State.FENCING
    await office.consumer.handle([office.holders["gateway"].issue(offers["gateway"])])
    assert await office.offered() == {name: [f"{request_id}/{name}/ERASE"] for name in ("gateway", "stats")}
    assert await office.state(request_id) is State.EXECUTING


async def test_two_batches_at_the_same_time_never_miss_each_others_settlements(office: Office) -> None:
    await office.register(*HOLDERS)
    request_ids = [await office.accepted() for _ in range(5)]
    for phase in ("FENCE", "ERASE", "SWEEP", "ATTEST"):
        offers = await office.offered()
        assert {task_id.rpartition("/")[2] for ids in offers.values() for task_id in ids} == {phase}
        events = [office.holders[name].issue(task_ids) for name, task_ids in offers.items()]
        await asyncio.gather(*(office.consumer.handle([event]) for event in events))
    assert {await office.state(request_id) for request_id in request_ids} == {State.SETTLING}


async def test_a_batch_of_requests_is_offered_in_one_message_per_holder(office: Office) -> None:
    await office.register("gateway", "stats")
    request_ids = [await office.open() for _ in range(30)]
    before = await office.waiting_facts()
    await office.triage.run_once()
    assert await office.waiting_facts() == before + 1 + 2
    offers = await office.offered()
    assert sorted(offers["stats"]) == [f"{request_id}/stats/FENCE" for request_id in sorted(request_ids)]


async def test_the_same_receipt_twice_or_out_of_turn_changes_nothing(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    stats = office.holders["stats"]
    fence = stats.issue([f"{request_id}/stats/FENCE"])
    early = stats.issue([f"{request_id}/stats/ATTEST"])
    await office.consumer.handle([early, fence])
    await office.consumer.handle([fence])
    await office.consumer.handle([stats.issue([f"{request_id}/stats/FENCE"])])
    assert await office.state(request_id) is State.FENCING
    assert (await office.task(request_id, "stats", Phase.FENCE)).state is TaskState.SETTLED
    assert (await office.task(request_id, "stats", Phase.ATTEST)).state is TaskState.PLANNED
    await office.consumer.handle([office.holders["gateway"].issue([f"{request_id}/gateway/FENCE"])])
    assert await finish(office, request_id) is State.FULFILLED


@pytest.mark.parametrize(
    ("check", "break_it"),
    [
        ("signature", "signed by somebody else under its key id"),
        ("key_id", "signed with a key never announced"),
        ("holder", "about another holder's task"),
        ("content", "naming another request than its task"),
        ("outcome", "saying that erasing was merely done"),
        ("task", "about a request that does not exist"),
        ("task", "exercising another right"),
        ("effective_time", "awaiting a processor without a date"),
        ("event", "in an event that is none"),
    ],
)
@pytest.mark.parametrize("signed_here", [False, True], ids=["of another process", "of this process"])
async def test_a_receipt_that_does_not_fit_is_refused_recorded_and_harms_no_other(
    office: Office, check: str, break_it: str, *, signed_here: bool
) -> None:
    if signed_here:
        office.holders["stats"] = FakeHolder("stats", office.clock)
        office.holders["stats"].signer = office.signer
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    gateway, stats = office.holders["gateway"], office.holders["stats"]
    if check in ("outcome", "effective_time"):
        await office.work(rounds=1)
    forged = forge(stats, gateway, request_id, break_it)
    await office.posted(RecordMade)
    phase = Phase.ERASE if check in ("outcome", "effective_time") else Phase.FENCE
    await office.consumer.handle([forged, gateway.issue([f"{request_id}/gateway/{phase}"])])
    assert (await office.task(request_id, "stats", phase)).state is not TaskState.SETTLED
    assert (await office.task(request_id, "gateway", phase)).state is TaskState.SETTLED
    (made,) = await office.posted(RecordMade)
    (entry,) = RecordMade.FromString(made).records
    assert entry.kind == "receipt.refused"
    assert f'"check":"{check}"' in entry.payload_json


def forge(stats: FakeHolder, gateway: FakeHolder, request_id: str, how: str) -> Event:  # noqa: PLR0911 - a table
    task_id = f"{request_id}/stats/FENCE"
    receipt = stats.receipt(task_id, Right.RIGHT_ERASURE)
    match how:
        case "signed by somebody else under its key id":
            signed = gateway.signer.sign(receipt)
            signed.key_id = stats.signer.key_id
            return stats.event([signed])
        case "signed with a key never announced":
            return stats.event([gateway.signer.sign(receipt)])
        case "about another holder's task":
            other = gateway.receipt(f"{request_id}/gateway/FENCE", Right.RIGHT_ERASURE)
            return stats.event([stats.signer.sign(other)])
        case "naming another request than its task":
            receipt.request_id = "req_other"
        case "saying that erasing was merely done":
            return stats.issue([f"{request_id}/stats/ERASE"], outcome=Outcome.OUTCOME_DONE)
        case "about a request that does not exist":
            receipt = stats.receipt("req_none/stats/FENCE", Right.RIGHT_ERASURE)
        case "exercising another right":
            receipt = stats.receipt(f"{request_id}/stats/ATTEST", Right.RIGHT_ACCESS)
        case "awaiting a processor without a date":
            return stats.issue([f"{request_id}/stats/ERASE"], outcome=Outcome.OUTCOME_AWAITING_PROCESSOR)
        case "in an event that is none":
            event = stats.event([])
            return type(event)(event.id, event.subject, event.type, event.time, b"\xff\xff")
    return stats.event([stats.signer.sign(receipt)])


async def test_needs_human_blocks_visibly_until_a_person_sends_the_task_back(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    task_id = f"{request_id}/stats/FENCE"
    stats = office.holders["stats"]
    await office.consumer.handle([stats.issue([task_id], outcome=Outcome.OUTCOME_NEEDS_HUMAN)])
    task = await office.task(request_id, "stats", Phase.FENCE)
    assert (task.state, task.cause) == (TaskState.BLOCKED, Cause.NEEDS_HUMAN)
    assert (await office.show(request_id)).request.blocked
    await office.offered()
    assert await office.leases.lease("stats", [task_id]) == []
    await office.requests.retry_task(request_id, "stats", Phase.FENCE)
    assert not (await office.show(request_id)).request.blocked
    assert await office.offered() == {"stats": [task_id]}
    await office.consumer.handle([stats.issue([task_id])])
    await office.consumer.handle([office.holders["gateway"].issue([f"{request_id}/gateway/FENCE"])])
    assert await finish(office, request_id) is State.FULFILLED


async def test_proof_beats_needs_human_in_one_batch_and_afterwards(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    stats, task_id = office.holders["stats"], f"{request_id}/stats/FENCE"
    failure, proof = stats.issue([task_id], outcome=Outcome.OUTCOME_NEEDS_HUMAN), stats.issue([task_id])
    await office.consumer.handle([proof, failure])
    await office.consumer.handle([stats.issue([task_id], outcome=Outcome.OUTCOME_NEEDS_HUMAN)])
    assert (await office.task(request_id, "stats", Phase.FENCE)).state is TaskState.SETTLED
    assert await office.state(request_id) is State.EXECUTING


async def test_a_holder_that_registers_late_pulls_the_request_back_and_is_proved_as_well(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    await office.work(rounds=3)
    assert await office.state(request_id) is State.VERIFYING
    await office.register("billing")
    assert await office.state(request_id) is State.FENCING
    await office.register("billing")
    assert await finish(office, request_id) is State.FULFILLED
    (closed,) = await office.closings()
    assert [word.holder for word in closed.holders] == ["billing", "stats"]


async def test_a_holder_that_registers_while_backups_settle_is_still_asked(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    await office.work()
    assert await office.state(request_id) is State.SETTLING
    await office.register("billing")
    assert await office.state(request_id) is State.FENCING
    assert await finish(office, request_id) is State.FULFILLED


async def test_a_switched_off_holder_blocks_visibly_and_is_never_success(office: Office) -> None:
    await office.register("gateway", "stats")
    await office.registry.switch("stats", enabled=False)
    request_id = await office.accepted()
    assert (await office.show(request_id)).request.blocked
    assert list(await office.offered()) == ["gateway"]
    await office.consumer.handle([office.holders["gateway"].issue([f"{request_id}/gateway/FENCE"])])
    assert await office.leases.lease("stats", [f"{request_id}/stats/FENCE"]) == []
    office.clock.advance(timedelta(days=20))
    await office.reconciler.sweep()
    assert await office.state(request_id) is State.FENCING
    await office.registry.switch("stats", enabled=True)
    assert not (await office.show(request_id)).request.blocked
    assert (await office.offered())["stats"] == [f"{request_id}/stats/FENCE"]


async def test_switching_a_holder_off_takes_its_running_tasks_and_on_gives_them_back(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    offers = await office.offered()
    await office.registry.switch("stats", enabled=False)
    task = await office.task(request_id, "stats", Phase.FENCE)
    assert (task.state, task.cause) == (TaskState.BLOCKED, Cause.DISABLED)
    await office.consumer.handle([office.holders["gateway"].issue(offers["gateway"])])
    assert await office.state(request_id) is State.FENCING
    await office.registry.switch("stats", enabled=True)
    assert await finish(office, request_id) is State.FULFILLED


async def test_a_request_without_any_holder_waits_visibly_for_the_first(office: Office) -> None:
    request_id = await office.accepted()
    shown = await office.show(request_id)
    assert (shown.request.state, shown.request.blocked) == (State.ACCEPTED, True)
    await office.register("stats")
    assert await finish(office, request_id) is State.FULFILLED


async def test_a_second_deletion_of_the_same_person_ends_well_too(office: Office) -> None:
    await office.register("gateway", "stats")
    first, second = await office.accepted(), await office.accepted()
    assert await finish(office, first) is State.FULFILLED
    assert await office.state(second) is State.FULFILLED


async def test_what_is_retained_ends_as_fulfilled_in_part(office: Office) -> None:
    await office.register("gateway")
    request_id = await office.accepted()
    await office.work(rounds=1)
    erase = office.holders["gateway"].issue([f"{request_id}/gateway/ERASE"], outcome=Outcome.OUTCOME_RETAINED)
    await office.consumer.handle([erase])
    assert await finish(office, request_id) is State.FULFILLED_IN_PART


async def test_a_processor_with_a_date_after_the_backups_is_waited_for(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    await office.work(rounds=1)
    stats = office.holders["stats"]
    receipt = stats.receipt(f"{request_id}/stats/ERASE", Right.RIGHT_ERASURE, Outcome.OUTCOME_AWAITING_PROCESSOR)
    receipt.effective_time.FromDatetime(office.clock.now() + timedelta(days=30))
    await office.consumer.handle([stats.event([stats.signer.sign(receipt)])])
    assert await finish(office, request_id) is State.SETTLING
    office.clock.advance(timedelta(days=23))
    await office.reconciler.sweep()
    assert await office.state(request_id) is State.FULFILLED


async def test_receipts_signed_before_a_holder_changed_its_key_still_count(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    old = office.holders["stats"].issue([f"{request_id}/stats/FENCE"])
    del office.holders["stats"]
    await office.register("stats")
    await office.consumer.handle([old])
    assert await finish(office, request_id) is State.FULFILLED
    assert len(await office.registry.keys(await office.show(request_id))) == 2


@pytest.mark.parametrize(
    ("right", "sent"),
    [(Exercised.RESTRICTION, Right.RIGHT_RESTRICTION), (Exercised.LIFTING, Right.RIGHT_LIFTING)],
)
async def test_a_restriction_and_its_lifting_end_without_waiting_for_backups(
    office: Office, right: Exercised, sent: Right.ValueType
) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted(right)
    assert await office.state(request_id) is State.EXECUTING
    await office.work(sent)
    assert await office.state(request_id) is State.FULFILLED
