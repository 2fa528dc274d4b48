"""Requests that repeat another: whose they are told of, and what they share with it."""

from datetime import timedelta
from importlib import import_module

import pytest
from igstats_privacy.identity import KEY_PROOF
from igstats_privacy.model import Identifier, NewRequest, Regime, Right, State
from igstats_privacy.policy import Policy
from igstats_privacy.regimes import clocks
from igstats_privacy.tables import requests
from sqlalchemy import text, update
from ulid import ULID

from tests.integration.privacy import test_waits
from tests.integration.privacy.conftest import ACCOUNT, ULID_TEXT, Office
from tests.integration.privacy.test_waits import HANDLE, MakeOffice, deciding

OTHER_ACCOUNT = "acc_01jd3zmg6m0000000000000001"
office_with = test_waits.office_with


async def test_a_duplicate_shares_the_due_time_and_proves_itself(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    first = await office.accepted(Right.ERASURE, HANDLE)
    due = (await office.show(first)).request.due_at
    office.clock.advance(timedelta(days=3))
    office.profiles.connected = False
    second = await office.accepted(Right.ERASURE, HANDLE)
    request = (await office.show(second)).request
    assert (request.state, request.duplicate_of, request.due_at > due) == (State.IDENTITY_PENDING, "", True)
    await office.requests.confirm_identity(second, "passport seen")
    await office.triage.run_once()
    request = (await office.show(second)).request
    assert (request.state, request.duplicate_of, request.due_at) == (State.FENCING, first, due)
    assert request.identity_proof == "passport seen"


@pytest.mark.parametrize("first", ["", OTHER_ACCOUNT], ids=["the owner", "another customer"])
async def test_a_customer_learns_of_no_request_but_its_own(office_with: MakeOffice, first: str) -> None:
    office = await office_with(Policy())
    await opened_by(office, first, "passport seen" if not first else "")
    office.clock.advance(timedelta(days=3))
    second = (await office.show(await opened_by(office, ACCOUNT))).request
    assert (second.state, second.duplicate_of) == (State.FENCING, "")
    assert second.due_at == clocks(Right.ERASURE, Regime.GDPR, office.clock.now()).answer, "no time of the other"
    third = (await office.show(await opened_by(office, ACCOUNT))).request
    assert third.duplicate_of == second.request_id


async def test_who_shows_an_accounts_key_at_a_page_learns_of_no_request_of_others(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    await opened_by(office, "", "passport seen")
    shown = (await office.show(await opened_by(office, "", KEY_PROOF))).request
    assert (shown.state, shown.duplicate_of) == (State.FENCING, "")
    owners = (await office.show(await opened_by(office, "", "Instagram Login"))).request
    assert owners.duplicate_of not in {"", shown.request_id}


async def test_rows_of_before_forget_what_they_repeat_of_others(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    owners, others = await opened_by(office, "", "passport seen"), await opened_by(office, OTHER_ACCOUNT)
    repeated = [
        *(await opened_by(office, "", "passport seen"), await opened_by(office, OTHER_ACCOUNT)),
        *(await opened_by(office, ACCOUNT), await opened_by(office, "", KEY_PROOF)),
    ]
    migration = import_module("igstats_privacy.migrations.versions.0016_duplicates_of_others")
    async with office.database.transaction() as connection:
        for request_id, first in zip(repeated, (owners, others, owners, owners), strict=True):
            row = update(requests).where(requests.c.request_id == request_id)
            await connection.execute(row.values(duplicate_of=first))
        await connection.execute(text(migration.FORGET))
    found = [(await office.show(one)).request.duplicate_of for one in repeated]
    assert found == [owners, others, "", ""]


async def opened_by(office: Office, account_id: str, proof: str = "") -> str:
    """An accepted erasure of one profile."""
    new = NewRequest(Right.ERASURE, "web", account_id, (HANDLE,), str(ULID()), proof)
    request_id = (await office.requests.open(new)).request.request_id
    await office.triage.run_once()
    return request_id


async def test_a_duplicate_goes_its_own_way_when_the_first_ends(office_with: MakeOffice) -> None:
    policy = Policy(approve=frozenset({Right.ERASURE}))
    office = await office_with(policy)
    first, second = await office.accepted(Right.ERASURE, HANDLE), await office.accepted(Right.ERASURE, HANDLE)
    assert (await office.show(second)).request.duplicate_of == first
    desk = deciding(office, policy)
    await desk.deny(first, "ada", "TOO_MANY_REQUESTS", "asked twice")
    await desk.approve(second, "ada")
    await office.triage.run_once()
    await office.work()
    office.clock.advance(timedelta(days=8))
    await office.reconciler.end_settled()
    assert [await office.state(one) for one in (first, second)] == [State.DENIED, State.FULFILLED]


async def test_two_requests_that_come_together_are_first_and_duplicate(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    first, second = await office.open(Right.ERASURE, HANDLE), await office.open(Right.ERASURE, HANDLE)
    other = await office.open(Right.ACCESS, HANDLE)
    await office.triage.run_once()
    found = [(await office.show(one)).request.duplicate_of for one in (first, second, other)]
    assert found == ["", first, ""]


async def test_what_names_more_persons_than_the_first_is_no_duplicate(office_with: MakeOffice) -> None:
    office = await office_with(Policy())
    await office.accepted(Right.ERASURE, HANDLE)
    wider = await office.accepted(Right.ERASURE, HANDLE, Identifier("CONTACT_ID", f"con_{ULID_TEXT}_1"))
    assert (await office.show(wider)).request.duplicate_of == ""
