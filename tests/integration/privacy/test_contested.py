"""Values that an officer checks: the data rests meanwhile, and the person hears before it is used again (GDPR 18)."""

from datetime import timedelta

import pytest
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_privacy.model import Correction, Identifier, NewRequest, Right, State, Wait
from igstats_privacy.policy import Policy
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, Office
from tests.integration.privacy.test_waits import HANDLE, MakeOffice, deciding, office_with, waiting

__all__ = ["office_with"]

CHECKED = Policy(approve=frozenset({Right.CORRECTION}), notice=timedelta(days=7))


async def corrected(office: Office, *identifiers: Identifier, door: str = "web") -> str:
    """A proved correction that waits for an officer."""
    wrong = (Correction("profiles.website", "https://ada.example"),)
    new = NewRequest(Right.CORRECTION, door, "", identifiers, str(ULID()), "passport seen", corrections=wrong)
    request_id = (await office.requests.open(new)).request.request_id
    await office.triage.run_once()
    await office.triage.run_once()  # what it has brought about
    return request_id


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


async def test_of_two_contested_values_the_later_decision_lifts(office_with: MakeOffice) -> None:
    office = await office_with(CHECKED)
    first, second = await corrected(office, HANDLE), await corrected(office, HANDLE)
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


async def test_a_restriction_that_the_person_wants_outlives_the_check_of_a_value(office_with: MakeOffice) -> None:
    office = await office_with(CHECKED)
    await office.accepted(Right.RESTRICTION, HANDLE)
    request_id = await corrected(office, HANDLE)
    await office.work(Sent.RIGHT_RESTRICTION)
    await deciding(office, CHECKED).approve(request_id, "ada")
    assert Right.LIFTING not in await children_of(office, request_id)


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
