"""Opening, proving, showing and taking back requests."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_kit.retention import RetentionWorker
from igstats_kit.tables import restrictions
from igstats_privacy.declarations import DECLARATIONS
from igstats_privacy.identity import ACCOUNT_PROOF, CONNECTION_PROOF
from igstats_privacy.model import Identifier, Naming, NewRequest, Phase, Right, State
from igstats_privacy.tables import request_identifiers, request_tokens, requests
from igstats_privacy.triage import Resolution
from sqlalchemy import Table, func, insert, select

from tests.integration.privacy.conftest import Office

PROFILE = Identifier("USERNAME", "ada")
EMAIL = Identifier("EMAIL", "ada@example.com")
OTHER_ACCOUNT = "acc_01jd3zmg6m0000000000000001"


async def count(office: Office, table: Table) -> int:
    async with office.database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0


def new(key: str, *identifiers: Identifier, right: Right = Right.ERASURE) -> NewRequest:
    named = identifiers or (Identifier("ACCOUNT_ID", OTHER_ACCOUNT),)
    return NewRequest(right, "api", OTHER_ACCOUNT, named, key)


async def test_a_request_is_due_in_a_month_and_has_a_reference_for_people(office: Office) -> None:
    shown = await office.show(await office.open())
    assert shown.request.state is State.RECEIVED
    assert shown.request.due_at == office.clock.now().replace(month=4)
    assert len(shown.request.reference) == 9


async def test_the_same_key_and_content_open_one_request(office: Office) -> None:
    first = await office.requests.open(new("key-1", Identifier("USERNAME", "@Ada")))
    again = await office.requests.open(new("key-1", Identifier("USERNAME", "ada")))
    assert again == first
    assert await count(office, requests) == 1


async def test_a_hundred_equal_calls_at_once_open_one_request(office: Office) -> None:
    opened = await asyncio.gather(*(office.requests.open(new("key-1")) for _ in range(100)))
    assert len({shown.request.request_id for shown in opened}) == 1
    assert await count(office, requests) == 1


@pytest.mark.parametrize("other", [new("key-1", PROFILE), new("key-1", right=Right.ACCESS)])
async def test_the_same_key_with_another_content_is_refused(office: Office, other: NewRequest) -> None:
    await office.requests.open(new("key-1"))
    with pytest.raises(DomainError) as refused:
        await office.requests.open(other)
    assert refused.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_a_key_belongs_to_its_account(office: Office) -> None:
    await office.requests.open(new("key-1"))
    await office.open(key="key-1")
    assert await count(office, requests) == 2


async def purge(office: Office) -> None:
    await RetentionWorker("privacy", DECLARATIONS, office.database, office.clock).run_once()


@pytest.mark.parametrize("restricted", [False, True])
async def test_a_key_opens_one_request_as_long_as_that_is_on_record(office: Office, *, restricted: bool) -> None:
    first = await office.requests.open(new("key-1", EMAIL))
    (token,) = office.identifiers.tokens([EMAIL])
    async with office.database.transaction() as connection:
        await connection.execute(
            insert(request_tokens).values(
                token=token, request_id=first.request.request_id, created_at=office.clock.now()
            )
        )
        if restricted:
            await connection.execute(insert(restrictions).values(token=token, request_id="req_other"))
    office.clock.advance(timedelta(days=729))
    await purge(office)
    assert (await office.requests.open(new("key-1", EMAIL))).request.request_id == first.request.request_id
    office.clock.advance(timedelta(days=2))
    await purge(office)
    again = (await office.requests.open(new("key-1", EMAIL))).request.request_id
    assert (again == first.request.request_id) is restricted, "a purge skips both or none"


def choice(right: Right, door: str, key: str) -> NewRequest:
    return NewRequest(right, door, OTHER_ACCOUNT, (Identifier("ACCOUNT_ID", OTHER_ACCOUNT),), key)


async def test_a_signal_undoes_no_opt_in_even_when_its_own_request_has_left_the_record(office: Office) -> None:
    await office.register("stats")
    signal = choice(Right.OPT_OUT, "gpc", "gpc:account")
    first = (await office.requests.open(signal)).request.request_id
    await office.triage.run_once()
    await office.work(Sent.RIGHT_OPT_OUT)
    office.clock.advance(timedelta(days=100))
    consent = (await office.requests.open(choice(Right.OPT_IN, "api", "key-2"))).request.request_id
    await office.triage.run_once()
    office.clock.advance(timedelta(days=640))
    await purge(office)
    with pytest.raises(DomainError):
        await office.show(first)
    assert (await office.requests.open(signal)).request.request_id == consent
    form = NewRequest(Right.OPT_OUT, "gpc", "", signal.identifiers, "form-1")
    assert (await office.requests.open(form)).request.request_id not in {first, consent}, "a form is a new choice"
    office.clock.advance(timedelta(days=100))
    await purge(office)
    assert (await office.requests.open(signal)).request.request_id not in {first, consent}, "no consent is on record"


async def test_a_request_that_names_nobody_is_refused(office: Office) -> None:
    with pytest.raises(DomainError) as refused:
        await office.requests.open(NewRequest(Right.ERASURE, "api", OTHER_ACCOUNT, (), "key-1"))
    assert refused.value.reason is Reason.SUBJECT_UNIDENTIFIED


@pytest.mark.parametrize(
    "changed", [{"reply_address": "b@[.x"}, {"identifiers": (Identifier("EMAIL", ":@;.x"),)}], ids=["reply", "person"]
)
async def test_what_is_no_mail_address_is_refused_but_what_a_request_has_already_is_carried_on(
    office: Office, changed: dict[str, Any]
) -> None:
    wish = replace(new("key-1"), **changed)
    with pytest.raises(DomainError) as refused:
        await office.requests.open(wish)
    assert refused.value.reason is Reason.FIELD_INVALID
    child = await office.requests.open(replace(wish, parent_id="req_before"))
    assert child.request.state is State.RECEIVED


async def test_identifiers_are_sealed_and_destroyed_when_the_request_ends(office: Office) -> None:
    await office.register("stats")
    request_id = await office.open(Right.ERASURE, PROFILE)
    async with office.database.read() as connection:
        sealed = await connection.scalar(select(request_identifiers.c.sealed))
    assert sealed
    assert b"ada" not in sealed
    await office.triage.run_once()
    await office.work()
    assert await count(office, request_identifiers) == 1
    office.clock.advance(timedelta(days=7))
    await office.reconciler.sweep()
    assert await office.state(request_id) is State.FULFILLED
    assert await count(office, request_identifiers) == 0


async def test_the_accounts_own_key_proves_it_without_asking_stats(office: Office) -> None:
    request_id = await office.accepted()
    assert (await office.show(request_id)).request.identity_proof == ACCOUNT_PROOF
    assert office.profiles.asked == 0


async def test_a_live_connection_proves_a_profile_and_completes_its_names(office: Office) -> None:
    await office.register("stats")
    found = Identifier("INSTAGRAM_USER_ID", "17841400000000001")
    office.profiles.known = {"ada": found}
    request_id = await office.accepted(Right.ERASURE, PROFILE)
    assert (await office.show(request_id)).request.identity_proof == CONNECTION_PROOF
    (lease,) = await office.leases.lease("stats", [f"{request_id}/stats/FENCE"])
    assert lease.identifiers == (found, PROFILE)


@pytest.mark.parametrize("known", [{}, {"ada": Identifier("INSTAGRAM_USER_ID", "17841400000000001")}])
async def test_an_unproved_request_waits_and_looks_the_same_whether_the_person_is_known_or_not(
    office: Office, known: dict[str, Identifier]
) -> None:
    office.profiles.known, office.profiles.connected = known, False
    shown = await office.show(await office.accepted(Right.ERASURE, PROFILE))
    assert (shown.request.state, shown.request.identity_proof, shown.tasks) == (State.IDENTITY_PENDING, "", ())


async def test_an_officers_word_lets_the_request_go_on(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted(Right.ERASURE, EMAIL)
    assert await office.state(request_id) is State.IDENTITY_PENDING
    await office.requests.confirm_identity(request_id, "passport seen")
    await office.triage.run_once()
    shown = await office.show(request_id)
    assert (shown.request.state, shown.request.identity_proof) == (State.FENCING, "passport seen")


async def test_a_door_that_proved_the_identity_skips_the_wait(office: Office) -> None:
    await office.register("stats")
    request_id = await office.open(Right.ERASURE, EMAIL, proof="signed callback")
    await office.triage.run_once()
    assert await office.state(request_id) is State.FENCING


async def test_an_identity_never_proved_expires_when_the_answer_is_due(office: Office) -> None:
    request_id = await office.accepted(Right.ERASURE, EMAIL)
    office.clock.advance(timedelta(days=31))
    await office.reconciler.sweep()
    assert await office.state(request_id) is State.EXPIRED
    (closed,) = await office.closings()
    assert closed.state == "REQUEST_STATE_EXPIRED"


@pytest.mark.parametrize("failure", [Reason.DEPENDENCY_UNAVAILABLE, Reason.INTERNAL, Reason.DEADLINE_TOO_SHORT])
async def test_without_an_answer_of_stats_profiles_wait_and_own_accounts_go_on(office: Office, failure: Reason) -> None:
    await office.register("stats")
    office.profiles.failure = failure
    waiting, own = await office.open(Right.ERASURE, PROFILE), await office.open()
    assert await office.triage.run_once() is False
    assert await office.state(waiting) is State.RECEIVED
    assert await office.state(own) is State.FENCING
    office.profiles.failure = None
    assert await office.triage.run_once() is True
    assert await office.state(waiting) is State.FENCING


async def test_a_name_that_stats_cannot_read_is_nobodys_and_holds_up_no_other(office: Office) -> None:
    await office.register("stats")
    office.profiles.unreadable = "eve"
    strange = await office.open(Right.ERASURE, Identifier("USERNAME", "eve"))
    good = await office.open(Right.ERASURE, PROFILE)
    assert await office.triage.run_once() is True
    assert await office.state(strange) is State.IDENTITY_PENDING
    assert await office.state(good) is State.FENCING


async def test_a_request_is_taken_back_before_acceptance_and_not_after(office: Office) -> None:
    await office.register("stats")
    running = await office.accepted()
    early = await office.open(Right.ERASURE, EMAIL)
    await office.requests.withdraw(early)
    await office.triage.run_once()
    assert await office.state(early) is State.WITHDRAWN
    with pytest.raises(DomainError) as refused:
        await office.requests.withdraw(running)
    assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED
    assert refused.value.metadata["state"] == "FENCING"


async def test_a_request_taken_back_while_triage_looks_at_it_is_not_accepted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.register("stats")
    request_id = await office.open(Right.ERASURE, PROFILE)
    resolve = office.profiles.resolve

    async def taken_back_meanwhile(namings: Sequence[Naming]) -> list[Resolution]:
        await office.requests.withdraw(request_id)
        return await resolve(namings)

    monkeypatch.setattr(office.profiles, "resolve", taken_back_meanwhile)
    await office.triage.run_once()
    assert await office.state(request_id) is State.WITHDRAWN
    assert (await office.show(request_id)).tasks == ()


async def test_another_accounts_request_does_not_exist(office: Office) -> None:
    request_id = await office.open()
    for ask in (office.requests.get, office.requests.withdraw):
        with pytest.raises(DomainError) as refused:
            await ask(request_id, OTHER_ACCOUNT)
        assert refused.value.reason is Reason.REQUEST_NOT_FOUND


async def test_a_task_that_is_not_blocked_can_not_be_sent_back(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    with pytest.raises(DomainError) as refused:
        await office.requests.retry_task(request_id, "stats", Phase.FENCE)
    assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED


async def test_pages_list_every_request_once_newest_first(office: Office) -> None:
    opened = [await office.open() for _ in range(5)]
    await office.open(account_id=OTHER_ACCOUNT)
    account_id = (await office.show(opened[0])).account_id
    first, more = await office.requests.page(3, "", account_id=account_id)
    second, end = await office.requests.page(3, more, account_id=account_id)
    assert [shown.request.request_id for shown in (*first, *second)] == sorted(opened, reverse=True)
    assert end == ""


async def test_officers_find_what_is_blocked_and_what_is_in_a_state(office: Office) -> None:
    blocked, pending = await office.accepted(), await office.accepted(Right.ERASURE, EMAIL)
    found, _ = await office.requests.page(0, "", blocked_only=True)
    assert [shown.request.request_id for shown in found] == [blocked]
    found, _ = await office.requests.page(0, "", state=State.IDENTITY_PENDING)
    assert [shown.request.request_id for shown in found] == [pending]


async def test_a_request_not_answered_in_time_is_overdue_and_recorded_once(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    office.clock.advance(timedelta(days=32))
    await office.reconciler.sweep()
    await office.reconciler.sweep()
    assert (await office.show(request_id)).overdue
    records = [RecordMade.FromString(data).records[0] for data in await office.posted(RecordMade)]
    assert [one.request_id for one in records if one.kind == "request.overdue"] == [request_id]


async def test_a_watcher_sees_every_state_until_the_end(office: Office) -> None:
    await office.register("stats")
    request_id = await office.open(Right.RESTRICTION)
    account_id = (await office.show(request_id)).account_id
    watching = office.requests.watch(request_id, account_id)
    states = [(await anext(watching)).request.state]
    await office.triage.run_once()
    states.append((await anext(watching)).request.state)
    work = asyncio.create_task(office.work(Sent.RIGHT_RESTRICTION))
    states += [shown.request.state async for shown in watching]
    await work
    seen = list(dict.fromkeys(states))
    assert seen[:2] == [State.RECEIVED, State.EXECUTING]
    assert seen[-1] is State.FULFILLED
