"""Holds: what they keep, whom they reach, when they come too late, and the erasure that goes on after them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from igstats.event.v1.events_pb2 import RecordMade, TasksOffered
from igstats.holder.v1.description_pb2 import FieldDescription, HolderDescription, StoreDescription
from igstats.holder.v1.holder_tasks_service_pb2 import RegisterHolderRequest
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database
from igstats_privacy import messages
from igstats_privacy.decisions.holds import BY_ITSELF, NewHold
from igstats_privacy.model import Identifier, Lease, Right, State
from igstats_privacy.tables import erasure_ledger, requests, tasks
from sqlalchemy import delete

from tests.integration.privacy.conftest import FakeHolder, Office

HANDLE = Identifier("USERNAME", "ada")
STORES = {"stats": ("profiles", "media", "samples"), "gateway": ("invoices",)}


async def announce(office: Office, name: str) -> None:
    holder = office.holders.setdefault(name, FakeHolder(name, office.clock))
    field = FieldDescription(name="value", category="user.social")
    stores = [StoreDescription(store=store, fields=[field]) for store in STORES[name]]
    said = HolderDescription(holder=name, stores=stores)
    message = RegisterHolderRequest(description=said, public_key=holder.signer.public_key)
    await office.registry.register(*messages.announced(message, office.clock.now()))


@pytest_asyncio.fixture(loop_scope="session")
async def held_office(database: Callable[[str], Awaitable[Database]]) -> Office:
    made = Office(await database("privacy"))
    for name in STORES:
        await announce(made, name)
    return made


def new_hold(office: Office, **changes: Any) -> NewHold:
    now = office.clock.now()
    made = NewHold(
        identifiers=(HANDLE,),
        request_id="",
        groups=(("stats", "media"),),
        ground="legal_claims",
        reason="case 12 before the court",
        until=now + timedelta(days=90),
        review_at=now + timedelta(days=30),
    )
    return replace(made, **changes)


async def step(office: Office, phase: str, outcome: Outcome.ValueType | None = None) -> dict[str, Lease]:
    """All holders lease and settle one phase; answers their leases. `outcome` is what stats says."""
    leases = {}
    for name, task_ids in (await office.offered()).items():
        for lease in await office.leases.lease(name, [one for one in task_ids if one.endswith(phase)]):
            leases[name] = lease
            said = outcome if name == "stats" else None
            await office.consumer.handle([office.holders[name].issue([str(lease.task)], Sent.RIGHT_ERASURE, said)])
    return leases


def held(leases: dict[str, Lease]) -> dict[str, list[str]]:
    return {name: [store for hold in lease.holds for store in hold.at(name)] for name, lease in leases.items()}


async def erased_under_a_hold(office: Office) -> str:
    """An erasure that a hold on stats keeps back, until its end."""
    request_id = await office.accepted(Right.ERASURE, HANDLE)
    await step(office, "FENCE")
    assert held(await step(office, "ERASE", Outcome.OUTCOME_RETAINED)) == {"gateway": [], "stats": ["media"]}
    assert held(await step(office, "SWEEP")) == {"gateway": [], "stats": ["media"]}
    # A holder whose database was restored meanwhile erases once more before its last word.
    assert held(await step(office, "ATTEST", Outcome.OUTCOME_RETAINED)) == {"gateway": [], "stats": ["media"]}
    office.clock.advance(timedelta(days=8))
    await office.reconciler.end_settled()
    assert await office.state(request_id) is State.FULFILLED_IN_PART
    return request_id


async def test_a_hold_goes_with_the_tasks_that_erase_and_its_release_resumes_the_erasure(held_office: Office) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office), "ada")
    first = await erased_under_a_hold(office)
    released = await office.holds.release(hold.hold_id, "grace")
    (resumed,) = released.resumed
    await office.triage.run_once()
    request = (await office.show(resumed)).request
    assert (request.state, request.right, request.parent_id) == (State.FENCING, Right.ERASURE, first)
    fenced = await step(office, "FENCE")
    assert fenced["stats"].identifiers == (), "its names are destroyed"
    assert fenced["stats"].tokens == office.identifiers.tokens([HANDLE])
    assert held(await step(office, "ERASE")) == {"gateway": [], "stats": []}
    assert (await office.holds.release(hold.hold_id, "grace")).resumed == (resumed,), "once is enough"
    assert [one.request_id for one in await office.ledger.after("stats", 0, 0)] == [first, resumed]


async def test_nobody_refuses_or_takes_back_what_goes_on_after_a_hold(held_office: Office) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office), "ada")
    await erased_under_a_hold(office)
    (resumed,) = (await office.holds.release(hold.hold_id, "grace")).resumed
    with pytest.raises(DomainError) as refused:
        await office.requests.withdraw(resumed)
    assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED
    assert await office.state(resumed) is State.RECEIVED


async def test_a_hold_that_comes_before_or_during_the_fence_still_counts(held_office: Office) -> None:
    office = held_office
    await office.accepted(Right.ERASURE, HANDLE)
    await office.holds.place(new_hold(office), "ada")
    assert held(await step(office, "FENCE")) == {"gateway": [], "stats": []}
    offers = [TasksOffered.FromString(data) for data in await office.posted(TasksOffered)]
    assert all(one.fresh_task_ids == one.task_ids for one in offers), "holders must not use what they remember"
    for offer in offers:
        (lease,) = await office.leases.lease(offer.holder, offer.task_ids)
        assert [hold.at("stats") for hold in lease.holds] == ([("media",)] if offer.holder == "stats" else [])


async def test_no_replica_of_a_holder_sweeps_or_attests_by_what_it_remembers_of_a_held_request(
    held_office: Office,
) -> None:
    office = held_office
    await office.holds.place(new_hold(office), "ada")
    await office.accepted(Right.ERASURE, HANDLE)
    await step(office, "FENCE")
    for _ in ("ERASE", "SWEEP", "ATTEST"):
        offers = [TasksOffered.FromString(data) for data in await office.posted(TasksOffered)]
        assert [list(one.fresh_task_ids) for one in offers] == [list(one.task_ids) for one in offers]
        for offer in offers:
            await office.leases.lease(offer.holder, offer.task_ids)
            await office.consumer.handle([office.holders[offer.holder].issue(offer.task_ids)])


async def test_a_hold_is_not_said_to_keep_back_what_never_erases(held_office: Office) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office), "ada")
    request_id = await office.accepted(Right.RESTRICTION, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION, rounds=2)
    assert (await office.show(request_id)).request.closed_at is not None
    assert (await office.holds.release(hold.hold_id, "ada")).kept_back == ()


async def test_a_hold_on_a_handle_keeps_what_a_replay_of_the_ledger_would_erase_by_the_id(held_office: Office) -> None:
    office = held_office
    office.profiles.known = {"ada": Identifier("INSTAGRAM_USER_ID", "17841400000000001")}
    await office.accepted(Right.ERASURE, HANDLE)
    office.profiles.known = {}
    hold = await office.holds.place(new_hold(office), "ada")
    (entry,) = await office.ledger.after("stats", 0, 0)
    assert [one.hold_id for one in entry.holds] == [hold.hold_id]


async def test_offers_of_requests_without_a_hold_may_use_what_holders_remember(held_office: Office) -> None:
    office = held_office
    await office.holds.place(new_hold(office, identifiers=(Identifier("USERNAME", "grace"),)), "ada")
    await office.accepted(Right.ERASURE, HANDLE)
    await step(office, "FENCE")
    offers = [TasksOffered.FromString(data) for data in await office.posted(TasksOffered)]
    assert [list(one.fresh_task_ids) for one in offers] == [[], []]


async def test_a_hold_that_comes_when_data_is_being_destroyed_is_refused(held_office: Office) -> None:
    office = held_office
    await office.accepted(Right.ERASURE, HANDLE)
    await step(office, "FENCE")
    with pytest.raises(DomainError) as refused:
        await office.holds.place(new_hold(office), "ada")
    assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED
    assert refused.value.metadata["state"] == "EXECUTING"


async def test_a_hold_reaches_a_person_by_every_name_that_stats_knows(held_office: Office) -> None:
    office = held_office
    named = Identifier("INSTAGRAM_USER_ID", "17841400000000001")
    office.profiles.known = {"ada": named}
    await office.holds.place(new_hold(office), "ada")
    request_id = await office.open(Right.ERASURE, named, proof="signed_request")
    await office.triage.run_once()
    await step(office, "FENCE")
    assert held(await step(office, "ERASE"))["stats"] == ["media"]
    assert await office.state(request_id) is State.VERIFYING


async def test_a_hold_can_be_placed_on_the_person_of_a_live_request(held_office: Office) -> None:
    office = held_office
    request_id = await office.open(Right.ERASURE, HANDLE)
    await office.holds.place(new_hold(office, identifiers=(), request_id=request_id), "ada")
    await office.triage.run_once()
    await step(office, "FENCE")
    assert held(await step(office, "ERASE"))["stats"] == ["media"]


async def test_a_hold_ends_by_its_date_and_the_erasure_goes_on(held_office: Office) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office), "ada")
    await erased_under_a_hold(office)
    office.clock.advance(timedelta(days=90))
    await office.reconciler.sweep()
    (over,) = await office.holds.every(with_released=True, review_due=False)
    assert (over.hold_id, over.released_at, len(over.resumed)) == (hold.hold_id, office.clock.now(), 1)
    made = [RecordMade.FromString(data) for data in await office.posted(RecordMade)]
    assert BY_ITSELF in next(one.payload_json for m in made for one in m.records if one.kind == "hold.released")


async def test_a_hold_outlives_the_ledger_and_still_resumes(held_office: Office) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office, until=office.clock.now() + timedelta(days=3000)), "ada")
    await erased_under_a_hold(office)
    async with office.database.transaction() as connection:  # as retention does after two years
        for table in (tasks, erasure_ledger, requests):
            await connection.execute(delete(table))
    (resumed,) = (await office.holds.release(hold.hold_id, "ada")).resumed
    await office.triage.run_once()
    assert (await step(office, "FENCE"))["stats"].tokens == office.identifiers.tokens([HANDLE])
    assert await office.state(resumed) is State.EXECUTING


async def test_of_two_holds_the_other_one_still_counts_and_its_release_resumes_once(held_office: Office) -> None:
    office = held_office
    media = await office.holds.place(new_hold(office), "ada")
    samples = await office.holds.place(new_hold(office, groups=(("stats", "samples"),)), "ada")
    request_id = await office.accepted(Right.ERASURE, HANDLE)
    await step(office, "FENCE")
    assert set(held(await step(office, "ERASE", Outcome.OUTCOME_RETAINED))["stats"]) == {"media", "samples"}
    (second,) = (await office.holds.release(media.hold_id, "ada")).resumed
    await office.triage.run_once()
    await office.work(rounds=1)
    await step(office, "FENCE")
    leases = await office.leases.lease("stats", [f"{second}/stats/ERASE"])
    assert [hold.at("stats") for lease in leases for hold in lease.holds] == [("samples",)]
    await office.consumer.handle(
        [office.holders["stats"].issue([f"{second}/stats/ERASE"], Sent.RIGHT_ERASURE, Outcome.OUTCOME_RETAINED)]
    )
    (third,) = (await office.holds.release(samples.hold_id, "ada")).resumed
    assert (await office.show(third)).request.parent_id == request_id


async def test_what_a_hold_did_not_keep_back_is_not_erased_again(held_office: Office) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office), "ada")
    await office.accepted(Right.ERASURE, HANDLE)
    await office.work()
    assert (await office.holds.release(hold.hold_id, "ada")).resumed == ()


async def test_a_restored_database_reads_what_stays_with_the_ledger(held_office: Office) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office), "ada")
    await erased_under_a_hold(office)
    (entry,) = await office.ledger.after("stats", 0, 0)
    assert [one.hold_id for one in entry.holds] == [hold.hold_id]
    assert messages.erasure(entry, "stats").holds[0].stores == ["media"]
    (other,) = await office.ledger.after("gateway", 0, 0)
    assert other.holds == ()
    await office.holds.release(hold.hold_id, "ada")
    (entry,) = await office.ledger.after("stats", 0, 0)
    assert entry.holds == ()


async def test_holds_are_listed_newest_first_and_when_somebody_must_look(held_office: Office) -> None:
    office = held_office
    first = await office.holds.place(new_hold(office), "ada")
    office.clock.advance(timedelta(days=20))
    second = await office.holds.place(new_hold(office), "ada")
    office.clock.advance(timedelta(days=15))
    listed = await office.holds.every(with_released=False, review_due=False)
    assert [one.hold_id for one in listed] == [second.hold_id, first.hold_id]
    due = await office.holds.every(with_released=False, review_due=True)
    assert [one.hold_id for one in due] == [first.hold_id]
    await office.holds.release(first.hold_id, "ada")
    assert len(await office.holds.every(with_released=False, review_due=False)) == 1
    assert len(await office.holds.every(with_released=True, review_due=False)) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"groups": (("stats", "nothing"),)}, Reason.FIELD_INVALID),
        ({"groups": (("billing", "invoices"),)}, Reason.HOLDER_UNKNOWN),
        ({"groups": tuple(("stats", store) for store in STORES["stats"])}, Reason.HOLD_TOO_WIDE),
        ({"identifiers": ()}, Reason.SUBJECT_UNIDENTIFIED),
        ({"identifiers": (), "request_id": "req_none"}, Reason.REQUEST_NOT_FOUND),
    ],
)
async def test_a_hold_that_would_keep_nothing_everything_or_nobodys_is_refused(
    held_office: Office, changes: dict[str, object], reason: Reason
) -> None:
    with pytest.raises(DomainError) as refused:
        await held_office.holds.place(new_hold(held_office, **changes), "ada")
    assert refused.value.reason is reason


@pytest.mark.parametrize(("until", "review"), [(0, 0), (10, 11), (10, 0)])
async def test_a_hold_ends_in_the_future_and_is_reviewed_before(held_office: Office, until: int, review: int) -> None:
    now = held_office.clock.now()
    wrong = new_hold(held_office, until=now + timedelta(days=until), review_at=now + timedelta(days=review))
    with pytest.raises(DomainError) as refused:
        await held_office.holds.place(wrong, "ada")
    assert refused.value.reason is Reason.FIELD_INVALID


async def test_a_hold_that_nobody_placed_can_not_be_released(held_office: Office) -> None:
    with pytest.raises(DomainError) as refused:
        await held_office.holds.release("hld_none", "ada")
    assert refused.value.reason is Reason.HOLD_NOT_FOUND
