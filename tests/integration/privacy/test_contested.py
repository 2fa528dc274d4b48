"""Values that an officer checks: the data rests meanwhile, and the person hears before it is used again (GDPR 18)."""

from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_privacy.model import Correction, Identifier, NewRequest, Right, State, Wait
from igstats_privacy.policy import Policy
from sqlalchemy import text
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, Office
from tests.integration.privacy.test_waits import HANDLE, MakeOffice, deciding, office_with, waiting

__all__ = ["office_with"]

CHECKED = Policy(approve=frozenset({Right.CORRECTION}), notice=timedelta(days=7))


def by_hand(door: str, parent_id: str = "") -> NewRequest:
    return NewRequest(Right.RESTRICTION, door, "", (HANDLE,), str(ULID()), "passport seen", parent_id=parent_id)


async def restricted(office: Office, door: str, parent_id: str = "") -> str:
    """A restriction that somebody has opened, once the holders have done it."""
    request_id = (await office.requests.open(by_hand(door, parent_id))).request.request_id
    await office.triage.run_once()
    await office.work(Sent.RIGHT_RESTRICTION)
    return request_id


async def corrected(office: Office, *identifiers: Identifier, door: str = "web") -> str:
    """A proved correction that waits for an officer."""
    wrong = (Correction("profiles.website", "https://ada.example"),)
    new = NewRequest(Right.CORRECTION, door, "", identifiers, str(ULID()), "passport seen", corrections=wrong)
    request_id = (await office.requests.open(new)).request.request_id
    await office.triage.run_once()
    await office.triage.run_once()  # what it has brought about
    return request_id


async def decided(office: Office, request_id: str, how: str) -> None:
    desk = deciding(office, CHECKED)
    match how:
        case "approve":
            await desk.approve(request_id, "ada")
        case "deny":
            await desk.deny(request_id, "ada", "OTHER", "the source says otherwise")
        case _:
            await office.requests.withdraw(request_id)


async def children_of(office: Office, request_id: str) -> dict[Right, State]:
    found, _ = await office.requests.page(50, "")
    return {one.request.right: one.request.state for one in found if one.request.parent_id == request_id}


async def test_a_contested_value_restricts_until_it_is_decided_and_the_person_is_told_before(
    office_with: MakeOffice,
) -> None:
    office = await office_with(CHECKED)
    request_id = await corrected(office, HANDLE)
    assert await waiting(office, request_id) == (State.TRIAGE, Wait.APPROVAL)
    assert await children_of(office, request_id) == {Right.RESTRICTION: State.EXECUTING}
    await office.work(Sent.RIGHT_RESTRICTION)
    await deciding(office, CHECKED).approve(request_id, "ada")
    await office.triage.run_once()
    await office.triage.run_once()
    assert await office.state(request_id) is State.EXECUTING
    assert await children_of(office, request_id) == {Right.RESTRICTION: State.FULFILLED, Right.LIFTING: State.TRIAGE}
    office.clock.advance(timedelta(days=7))
    await office.triage.run_once()
    assert (await children_of(office, request_id))[Right.LIFTING] is State.EXECUTING


async def test_a_refused_correction_ends_its_restriction_after_the_notice_and_one_taken_back_at_once(
    office_with: MakeOffice,
) -> None:
    office = await office_with(CHECKED)
    refused, taken_back = await corrected(office, HANDLE), await corrected(office, Identifier("USERNAME", "grace"))
    await office.work(Sent.RIGHT_RESTRICTION)
    await deciding(office, CHECKED).deny(refused, "ada", "OTHER", "the source says otherwise")
    await office.requests.withdraw(taken_back)
    await office.triage.run_once()
    assert (await children_of(office, refused))[Right.LIFTING] is State.TRIAGE
    assert (await children_of(office, taken_back))[Right.LIFTING] is State.EXECUTING


@pytest.mark.parametrize("doors", [("web", "web"), ("officer", "officer"), ("officer", "web"), ("web", "officer")])
async def test_of_two_contested_values_the_later_decision_lifts_whoever_opened_them(
    office_with: MakeOffice, doors: tuple[str, str]
) -> None:
    office = await office_with(CHECKED)
    first, second = [await corrected(office, HANDLE, door=door) for door in doors]
    await office.work(Sent.RIGHT_RESTRICTION)
    desk = deciding(office, CHECKED)
    await desk.approve(first, "ada")
    assert Right.LIFTING not in await children_of(office, first), "the second is still being checked"
    await desk.deny(second, "ada", "OTHER", "the source says otherwise")
    await office.triage.run_once()  # the approved one is accepted
    await office.triage.run_once()
    assert (await children_of(office, second))[Right.LIFTING] is State.TRIAGE


async def test_a_lifting_waits_for_a_value_that_became_contested_meanwhile(office_with: MakeOffice) -> None:
    office = await office_with(CHECKED)
    first = await corrected(office, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION)
    await deciding(office, CHECKED).approve(first, "ada")
    await office.triage.run_once()
    await office.triage.run_once()
    second = await corrected(office, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION)
    office.clock.advance(timedelta(days=30))
    await office.triage.run_once()
    assert (await children_of(office, first))[Right.LIFTING] is State.TRIAGE
    await deciding(office, CHECKED).deny(second, "ada", "OTHER", "the source says otherwise")
    await office.triage.run_once()
    assert (await children_of(office, first))[Right.LIFTING] is State.EXECUTING


@pytest.mark.parametrize("door", ["web", "officer"])
@pytest.mark.parametrize("decide", ["approve", "deny", "withdraw"])
async def test_a_restriction_that_somebody_wants_outlives_the_check_of_a_value(
    office_with: MakeOffice, door: str, decide: str
) -> None:
    office = await office_with(CHECKED)
    await restricted(office, door)
    request_id = await corrected(office, HANDLE, door="officer")
    await office.work(Sent.RIGHT_RESTRICTION)
    await decided(office, request_id, decide)
    await office.triage.run_once()
    assert await children_of(office, request_id) == {Right.RESTRICTION: State.FULFILLED}


@pytest.mark.parametrize("decide", ["approve", "deny", "withdraw"])
async def test_what_an_officer_restricts_beside_a_contested_value_is_no_part_of_its_check(
    office_with: MakeOffice, decide: str
) -> None:
    office = await office_with(CHECKED)
    request_id = await corrected(office, HANDLE, door="officer")
    await office.work(Sent.RIGHT_RESTRICTION)
    opened = await restricted(office, "officer", request_id)
    await decided(office, request_id, decide)
    await office.triage.run_once()
    assert await office.state(opened) is State.FULFILLED
    assert Right.LIFTING not in await children_of(office, request_id)


async def test_the_end_of_a_check_takes_back_nothing_that_an_officer_has_opened_beside_it(
    office_with: MakeOffice,
) -> None:
    office = await office_with(CHECKED)
    request_id = await corrected(office, HANDLE, door="officer")
    await office.work(Sent.RIGHT_RESTRICTION)
    new = by_hand("officer", request_id)
    opened = (await office.requests.open(new)).request.request_id
    await decided(office, request_id, "deny")
    assert await office.state(opened) is State.RECEIVED
    await office.triage.run_once()
    assert await office.state(opened) is State.EXECUTING


async def test_a_lifting_on_its_way_is_taken_back_when_somebody_wants_the_restriction(office_with: MakeOffice) -> None:
    office = await office_with(CHECKED)
    request_id = await corrected(office, HANDLE, door="officer")
    await office.work(Sent.RIGHT_RESTRICTION)
    await decided(office, request_id, "deny")
    await office.triage.run_once()
    assert (await children_of(office, request_id))[Right.LIFTING] is State.TRIAGE, "the person is given notice"
    wanted = await restricted(office, "web")
    office.clock.advance(timedelta(days=7))
    await office.triage.run_once()
    assert await office.state(wanted) is State.FULFILLED
    assert (await children_of(office, request_id))[Right.LIFTING] is State.WITHDRAWN


async def test_a_lifting_on_its_way_ends_no_window_of_an_erasure(office_with: MakeOffice) -> None:
    office = await office_with(replace(CHECKED, window=timedelta(hours=24)))
    request_id = await corrected(office, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION)
    await decided(office, request_id, "deny")
    await office.triage.run_once()
    office.clock.advance(timedelta(days=6, hours=12))
    erasure = await office.accepted(Right.ERASURE, HANDLE)
    await office.triage.run_once()
    await office.work(Sent.RIGHT_RESTRICTION)
    assert await waiting(office, erasure) == (State.TRIAGE, Wait.WINDOW)
    office.clock.advance(timedelta(hours=18))
    await office.triage.run_once()
    assert (await children_of(office, request_id))[Right.LIFTING] is State.WITHDRAWN
    await office.requests.withdraw(erasure)
    await office.triage.run_once()
    assert (await children_of(office, erasure))[Right.LIFTING] is State.EXECUTING


async def test_a_restriction_that_is_refused_has_kept_no_other_from_ending(office_with: MakeOffice) -> None:
    office = await office_with(replace(CHECKED, approve=frozenset({Right.CORRECTION, Right.RESTRICTION})))
    request_id = await corrected(office, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION)
    wanted = await restricted(office, "web")
    assert await waiting(office, wanted) == (State.TRIAGE, Wait.APPROVAL)
    await decided(office, request_id, "deny")
    await office.triage.run_once()
    await decided(office, wanted, "deny")
    office.clock.advance(timedelta(days=7))
    await office.triage.run_once()
    assert (await children_of(office, request_id))[Right.LIFTING] is State.EXECUTING


async def test_a_restriction_that_was_lifted_keeps_no_later_one_from_ending(office_with: MakeOffice) -> None:
    office = await office_with(CHECKED)
    await restricted(office, "web")
    await office.accepted(Right.LIFTING, HANDLE)
    await office.work(Sent.RIGHT_LIFTING)
    request_id = await corrected(office, HANDLE, door="officer")
    await office.work(Sent.RIGHT_RESTRICTION)
    await decided(office, request_id, "deny")
    await office.triage.run_once()
    office.clock.advance(timedelta(days=7))
    await office.triage.run_once()
    assert (await children_of(office, request_id))[Right.LIFTING] is State.EXECUTING


async def test_what_officers_opened_by_hand_is_told_from_what_came_by_itself_in_rows_of_before(
    office_with: MakeOffice,
) -> None:
    office = await office_with(CHECKED)
    by_officer, by_person = await corrected(office, HANDLE, door="officer"), await corrected(office, HANDLE)
    opened = await restricted(office, "officer", by_officer)
    marked = [one.request.request_id for one in (await office.requests.page(50, ""))[0] if one.request.automatic]
    assert len(marked) == 2
    migration = import_module("igstats_privacy.migrations.versions.0014_automatic_requests")
    async with office.database.transaction() as connection:
        await connection.execute(text("UPDATE requests SET automatic = false"))
        await connection.execute(text(migration.MARK))
    found = [one.request for one in (await office.requests.page(50, ""))[0]]
    assert [one.request_id for one in found if one.automatic] == marked
    assert {one.parent_id for one in found if one.automatic} == {by_officer, by_person}
    assert opened not in marked


@pytest.mark.parametrize(
    ("policy", "identifier"),
    [
        (Policy(approve=frozenset({Right.CORRECTION}), restrict_contested=False), HANDLE),
        (CHECKED, Identifier("ACCOUNT_ID", ACCOUNT)),
        (Policy(), HANDLE),
    ],
    ids=["switched off", "a customer is no data subject", "nobody checks"],
)
async def test_nothing_is_restricted_where_no_value_of_a_person_is_checked(
    office_with: MakeOffice, policy: Policy, identifier: Identifier
) -> None:
    office = await office_with(policy)
    assert await children_of(office, await corrected(office, identifier)) == {}
