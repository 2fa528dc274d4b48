"""What a request waits for before it is accepted, and how officers decide: on the real database."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import pytest_asyncio
from igstats.event.v1.events_pb2 import RecordMade
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database
from igstats_privacy.decisions.deciding import Deciding
from igstats_privacy.decisions.messages import row_count
from igstats_privacy.decisions.previews import Previews
from igstats_privacy.model import Identifier, NewRequest, Right, State, SubjectClass, Wait
from igstats_privacy.policy import Policy
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, ULID_TEXT, Office

MakeOffice = Callable[[Policy], Awaitable[Office]]
HANDLE = Identifier("USERNAME", "ada")
MAIL = Identifier("EMAIL", "ada@example.com")
WINDOW = timedelta(hours=24)


@pytest_asyncio.fixture(loop_scope="session")
async def office_with(database: Callable[[str], Awaitable[Database]]) -> MakeOffice:
    async def make(policy: Policy) -> Office:
        made = Office(await database("privacy"), policy=policy)
        await made.register("stats", "gateway")
        return made

    return make


def deciding(office: Office, policy: Policy | None = None) -> Deciding:
    return Deciding(
        office.database,
        office.requests,
        office.changes,
        office.clock,
        office.triage.wake,
        policy or Policy(),
        row_count,
        office.officer_ids,
    )


def previews(office: Office) -> Previews:
    return Previews(
        office.database, office.children, office.identifiers, office.officer_ids, office.clock, office.triage.wake
    )


async def children(office: Office, parent_id: str) -> dict[Right, State]:
    found, _ = await office.requests.page(0, "")
    return {one.request.right: one.request.state for one in found if one.request.parent_id == parent_id}


async def child(office: Office, parent_id: str, right: Right) -> str:
    found, _ = await office.requests.page(0, "")
    return next(
        one.request.request_id for one in found if one.request.parent_id == parent_id and one.request.right is right
    )


async def records(office: Office) -> list[str]:
    made = [RecordMade.FromString(data) for data in await office.posted(RecordMade)]
    return [one.kind for message in made for one in message.records]


async def waiting(office: Office, request_id: str) -> tuple[State, Wait]:
    request = (await office.show(request_id)).request
    return request.state, request.wait


async def test_by_default_a_proved_request_waits_for_nothing(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    assert await waiting(office, await office.accepted()) == (State.FENCING, Wait.UNSPECIFIED)


async def test_an_approval_lets_a_request_go_on_however_long_it_waited(office_with: MakeOffice) -> None:
    policy = Policy(approve=frozenset({Right.ERASURE}))
    office = await office_with(policy)
    request_id = await office.accepted()
    assert await waiting(office, request_id) == (State.TRIAGE, Wait.APPROVAL)
    assert (await office.show(request_id)).tasks == ()
    office.clock.advance(timedelta(days=29))
    await office.reconciler.sweep()
    await office.triage.run_once()
    assert await waiting(office, request_id) == (State.TRIAGE, Wait.APPROVAL)
    await deciding(office, policy).approve(request_id, "ada")
    await office.triage.run_once()
    assert await waiting(office, request_id) == (State.FENCING, Wait.UNSPECIFIED)
    assert "request.approved" in await records(office)


async def test_a_customer_goes_after_two_officers_have_approved_and_not_one_twice(office_with: MakeOffice) -> None:
    policy = Policy(approve=frozenset({Right.ERASURE}), second_tenant=True)
    office = await office_with(policy)
    request_id = await office.accepted()
    assert (await office.show(request_id)).request.subject_class is SubjectClass.TENANT
    desk = deciding(office, policy)
    assert (await desk.approve(request_id, "ada")).request.wait is Wait.SECOND_APPROVAL
    with pytest.raises(DomainError) as refused:
        await desk.approve(request_id, "ada")
    assert refused.value.reason is Reason.SECOND_PERSON_REQUIRED
    await office.triage.run_once()
    assert await office.state(request_id) is State.TRIAGE
    await desk.approve(request_id, "grace")
    await office.triage.run_once()
    assert await office.state(request_id) is State.FENCING


@pytest.mark.parametrize(("rows", "wait"), [(10, Wait.UNSPECIFIED), (11, Wait.SECOND_APPROVAL)])
async def test_an_erasure_above_the_threshold_of_its_preview_needs_a_second_person(
    office_with: MakeOffice, rows: int, wait: Wait
) -> None:
    policy = Policy(second_rows=10)
    office = await office_with(policy)
    request_id = await office.accepted(Right.ERASURE, HANDLE)
    preview_id = await child(office, request_id, Right.PREVIEW)
    await preview_all(office, preview_id, rows)
    assert (await deciding(office, policy).approve(request_id, "ada")).request.wait is wait


async def preview_all(office: Office, preview_id: str, rows: int) -> None:
    """Both holders answer; stats would erase so many rows."""
    for holder in ("gateway", "stats"):
        task_id = f"{preview_id}/{holder}/PREVIEW"
        await office.leases.lease(holder, [task_id])
        speaker = office.holders[holder]
        receipt = speaker.receipt(task_id, Sent.RIGHT_PREVIEW, Outcome.OUTCOME_DONE)
        if holder == "stats":
            receipt.counts.add(store="samples", count=rows)
        await office.consumer.handle([speaker.event([speaker.signer.sign(receipt)])])


async def test_a_count_that_nobody_knows_is_above_the_threshold(office_with: MakeOffice) -> None:
    policy = Policy(second_rows=10)
    office = await office_with(policy)
    await office.registry.switch("gateway", enabled=False)
    request_id = await office.accepted(Right.ERASURE, HANDLE)
    found = await previews(office).get(request_id)
    assert not found.is_complete
    assert (await deciding(office, policy).approve(request_id, "ada")).request.wait is Wait.SECOND_APPROVAL


async def test_a_preview_counts_what_would_go_and_is_asked_for_once_at_a_time(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    request_id = await office.accepted(Right.ERASURE, MAIL)
    with pytest.raises(DomainError) as missing:
        await previews(office).get(request_id)
    assert missing.value.reason is Reason.PREVIEW_NOT_FOUND
    preview_id = await previews(office).ask(request_id, "ada")
    assert await previews(office).ask(request_id, "grace") == preview_id
    await office.triage.run_once()
    await preview_all(office, preview_id, 7)
    found = await previews(office).get(request_id)
    assert (found.preview_id, found.is_complete, row_count(found)) == (preview_id, True, 7)
    assert await office.state(request_id) is State.IDENTITY_PENDING


async def test_only_an_erasure_that_is_not_accepted_can_be_previewed(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    for request_id in (await office.accepted(), await office.accepted(Right.ACCESS, MAIL)):
        with pytest.raises(DomainError) as refused:
            await previews(office).ask(request_id, "ada")
        assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED


async def test_the_owners_erasure_restricts_during_its_window_and_goes_on_after_it(office_with: MakeOffice) -> None:
    office = await office_with(Policy(window=WINDOW))
    request_id = await office.accepted(Right.ERASURE, HANDLE)
    assert await waiting(office, request_id) == (State.TRIAGE, Wait.WINDOW)
    assert await children(office, request_id) == {Right.RESTRICTION: State.EXECUTING}
    office.clock.advance(WINDOW - timedelta(seconds=1))
    await office.triage.run_once()
    assert await office.state(request_id) is State.TRIAGE
    office.clock.advance(timedelta(seconds=1))
    await office.triage.run_once()
    assert await waiting(office, request_id) == (State.FENCING, Wait.UNSPECIFIED)


async def test_taking_an_erasure_back_in_its_window_lifts_the_restriction_once_it_stands(
    office_with: MakeOffice,
) -> None:
    office = await office_with(Policy(window=WINDOW))
    request_id = await office.accepted(Right.ERASURE, HANDLE)
    await office.requests.withdraw(request_id)
    assert await office.triage.run_once() is False, "the lifting waits until the restriction has ended everywhere"
    assert (await children(office, request_id))[Right.LIFTING] is State.RECEIVED
    await office.work(Sent.RIGHT_RESTRICTION, rounds=2)
    await office.triage.run_once()
    assert (await children(office, request_id)) == {Right.RESTRICTION: State.FULFILLED, Right.LIFTING: State.EXECUTING}
    assert await waiting(office, request_id) == (State.WITHDRAWN, Wait.UNSPECIFIED)


async def test_a_restriction_that_the_person_asked_for_outlives_the_window(office_with: MakeOffice) -> None:
    office = await office_with(Policy(window=WINDOW))
    await office.accepted(Right.RESTRICTION, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION, rounds=2)
    request_id = await office.accepted(Right.ERASURE, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION, rounds=2)
    await office.requests.withdraw(request_id)
    assert await children(office, request_id) == {Right.RESTRICTION: State.FULFILLED}


async def test_a_window_that_ends_before_anybody_restricted_ends_its_restriction_too(office_with: MakeOffice) -> None:
    office = await office_with(Policy(window=WINDOW))
    request_id = await office.open(Right.ERASURE, HANDLE)
    async with office.database.transaction() as connection:
        await office.triage._decide(connection, await office.triage._look(await office.triage._next("")))
    assert await children(office, request_id) == {Right.RESTRICTION: State.RECEIVED}
    await office.requests.withdraw(request_id)
    assert await children(office, request_id) == {Right.RESTRICTION: State.WITHDRAWN}


@pytest.mark.parametrize("door", ["meta", "drp", "opendsr", "officer"])
async def test_what_others_ask_for_has_no_window(office_with: MakeOffice, door: str) -> None:
    office = await office_with(Policy(window=WINDOW))
    new = NewRequest(Right.ERASURE, door, "", (HANDLE,), str(ULID()), "signed_request")
    request_id = (await office.requests.open(new)).request.request_id
    await office.triage.run_once()
    assert await office.state(request_id) is State.FENCING


@pytest.mark.parametrize(("door", "state"), [("officer", State.TRIAGE), ("web", State.EXECUTING)])
async def test_an_officer_lifts_after_a_notice_and_the_person_at_once(
    office_with: MakeOffice, door: str, state: State
) -> None:
    office = await office_with(Policy(notice=timedelta(days=7)))
    new = NewRequest(Right.LIFTING, door, "", (HANDLE,), str(ULID()), "passport seen")
    request_id = (await office.requests.open(new)).request.request_id
    await office.triage.run_once()
    assert await office.state(request_id) is state
    office.clock.advance(timedelta(days=7))
    await office.triage.run_once()
    assert await office.state(request_id) is State.EXECUTING


@pytest.mark.parametrize(
    "policy", [Policy(approve=frozenset({Right.ERASURE})), Policy(second_tenant=True), Policy(window=WINDOW)]
)
async def test_a_request_can_be_taken_back_whatever_it_waits_for(office_with: MakeOffice, policy: Policy) -> None:
    office = await office_with(policy)
    request_id = await office.accepted()
    assert await office.state(request_id) is State.TRIAGE
    await office.requests.withdraw(request_id, ACCOUNT)
    assert await waiting(office, request_id) == (State.WITHDRAWN, Wait.UNSPECIFIED)


async def test_an_approval_while_triage_looks_is_not_lost(office_with: MakeOffice) -> None:
    policy = Policy(approve=frozenset({Right.ERASURE}))
    office = await office_with(policy)
    request_id = await office.open()
    seen = await office.triage._look(await office.triage._next(""))
    await office.triage.run_once()
    await deciding(office, policy).approve(request_id, "ada")
    async with office.database.transaction() as connection:
        await office.triage._decide(connection, seen)  # a twin that has looked before
    await office.triage.run_once()
    assert await office.state(request_id) is State.FENCING


@pytest.mark.parametrize(
    ("identifier", "connected", "expected"),
    [
        (Identifier("ACCOUNT_ID", ACCOUNT), True, SubjectClass.TENANT),
        (Identifier("CONTACT_ID", f"con_{ULID_TEXT}_1"), True, SubjectClass.CONTACT),
        (HANDLE, True, SubjectClass.PROFILE_OWNER),
        (HANDLE, False, SubjectClass.UNCONNECTED_OWNER),
    ],
)
async def test_triage_says_who_the_person_is_to_us(
    office_with: MakeOffice,
    identifier: Identifier,
    connected: bool,  # noqa: FBT001 - a row of the table above
    expected: SubjectClass,
) -> None:
    office = await office_with(Policy())
    office.profiles.connected = connected
    request_id = await office.open(Right.ERASURE, identifier, proof="passport seen")
    await office.triage.run_once()
    assert (await office.show(request_id)).request.subject_class is expected


async def test_a_refusal_ends_a_request_with_its_reason(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    request_id = await office.accepted(Right.ERASURE, MAIL)
    shown = await deciding(office).deny(request_id, "ada", "MANIFESTLY_UNFOUNDED", "the ninth time this week")
    assert (shown.request.state, shown.request.reason) == (State.DENIED, "MANIFESTLY_UNFOUNDED")
    assert "request.denied" in await records(office)
    running = await office.accepted()
    with pytest.raises(DomainError) as refused:
        await deciding(office).deny(running, "ada", "OTHER", "too late")
    assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED


async def test_the_due_time_is_extended_once_and_in_time(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    request_id = await office.accepted(Right.ERASURE, MAIL)
    late = await office.accepted(Right.ERASURE, MAIL)
    before = (await office.show(request_id)).request.due_at
    shown = await deciding(office).extend(request_id, "ada", "many systems are concerned")
    assert shown.request.due_at > before
    assert shown.request.extended_at == office.clock.now()
    with pytest.raises(DomainError) as again:
        await deciding(office).extend(request_id, "ada", "many systems are concerned")
    office.clock.advance(timedelta(days=40))
    with pytest.raises(DomainError) as missed:
        await deciding(office).extend(late, "ada", "many systems are concerned")
    assert {again.value.reason, missed.value.reason} == {Reason.EXTENSION_NOT_ALLOWED}


async def test_duplicates_are_extended_with_the_request_they_repeat_and_no_further(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    first, second = await office.accepted(Right.ERASURE, HANDLE), await office.accepted(Right.ERASURE, HANDLE)
    stranger = await office.accepted(Right.ERASURE, MAIL)
    with pytest.raises(DomainError) as alone:
        await deciding(office).extend(second, "ada", "many systems are concerned")
    assert alone.value.reason is Reason.EXTENSION_NOT_ALLOWED, "it is answered with the first"
    due = (await deciding(office).extend(first, "ada", "many systems are concerned")).request.due_at
    repeated = await office.show(second)
    shared = repeated.request
    assert (shared.due_at, shared.extended_at) == (due, office.clock.now())
    assert repeated.extension_reasons == "many systems are concerned"
    assert (await office.show(stranger)).request.extended_at is None
    assert (await office.show(stranger)).extension_reasons == ""
    assert (await records(office)).count("request.extended") == 2
    office.clock.advance(timedelta(days=5))
    third = await office.accepted(Right.ERASURE, HANDLE)
    assert (await office.show(third)).request.due_at < due
    assert (await deciding(office).extend(third, "ada", "many systems are concerned")).request.due_at == due


async def test_nobody_approves_what_waits_for_nobody(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    request_id = await office.accepted(Right.ERASURE, MAIL)
    with pytest.raises(DomainError) as refused:
        await deciding(office).approve(request_id, "ada")
    assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED
    with pytest.raises(DomainError) as missing:
        await deciding(office).approve("req_none", "ada")
    assert missing.value.reason is Reason.REQUEST_NOT_FOUND
