"""The request ledger: written by the database with every change of a request, and by nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats_kit.errors import DomainError, Reason
from igstats_kit.retention import RetentionWorker
from igstats_privacy import store as core
from igstats_privacy.declarations import DECLARATIONS
from igstats_privacy.model import Identifier, NewRequest, Phase, Regime, Right, State
from igstats_privacy.public_messages import page_token
from igstats_privacy.records import messages, rules, store
from igstats_privacy.records.request_ledger import RequestLedger
from igstats_privacy.records.rules import LedgerEntry
from igstats_privacy.records.tables import request_ledger
from igstats_privacy.tables import requests
from sqlalchemy import delete, insert, select, update
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, Office

PERSON = Identifier("INSTAGRAM_USER_ID", "17841400000000001")


async def entries(office: Office) -> list[LedgerEntry]:
    async with office.database.read() as connection:
        return await store.page(connection, 500, after=None, start=None, end=None)


async def entry(office: Office, request_id: str) -> LedgerEntry:
    return next(one for one in await entries(office) if one.request_id == request_id)


def new(right: Right, *, door: str = "api", regime: Regime = Regime.CCPA, parent_id: str = "") -> NewRequest:
    return NewRequest(right, door, ACCOUNT, (PERSON,), str(ULID()), regime=regime, parent_id=parent_id)


async def opened(office: Office, request: NewRequest) -> str:
    return (await office.requests.open(request)).request.request_id


async def test_a_request_is_in_the_ledger_from_its_opening_to_its_answer(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    line = await entry(office, request_id)
    request = (await office.show(request_id)).request
    assert (line.right, line.door, line.regime) == (Right.ERASURE, "api", Regime.GDPR)
    assert (line.received_at, line.due_at, line.answered_at) == (request.received_at, request.due_at, None)
    assert (line.answer, line.ground) == ("", "")
    await office.work()
    office.clock.advance(timedelta(days=8))
    await office.reconciler.end_settled()
    line = await entry(office, request_id)
    assert (line.answered_at, line.answer) == (office.clock.now(), "FULFILLED")
    assert not rules.missed(line, office.clock.now())


async def test_a_refusal_keeps_its_ground_and_an_extension_its_date(office: Office) -> None:
    request_id = await opened(office, new(Right.ERASURE))
    later = office.clock.now() + timedelta(days=90)
    async with office.database.transaction() as connection:
        await connection.execute(update(requests).values(due_at=later, extended_at=office.clock.now()))
    assert (await entry(office, request_id)).due_at == later
    async with office.database.transaction() as connection:
        refused = update(requests).values(state="DENIED", closed_at=office.clock.now(), reason="MANIFESTLY_UNFOUNDED")
        await connection.execute(refused)
    line = await entry(office, request_id)
    assert (line.answer, line.ground) == ("DENIED", "MANIFESTLY_UNFOUNDED")


async def test_an_answer_in_part_keeps_the_grounds_of_what_stays_each_once(office: Office) -> None:
    await office.register("stats", "gateway")
    office.holders["stats"].grounds = ("legal_claims", "legal_claims")
    office.holders["gateway"].grounds = ("tax law: invoices", "legal_claims")
    request_id = await office.accepted()
    for _ in range(4):
        for name, task_ids in (await office.offered()).items():
            for lease in await office.leases.lease(name, task_ids):
                retained = Outcome.OUTCOME_RETAINED if lease.task.phase in (Phase.ERASE, Phase.ATTEST) else None
                task = str(lease.task)
                await office.consumer.handle([office.holders[name].issue([task], outcome=retained)])
    assert (await entry(office, request_id)).ground == "", "there is no answer yet"
    office.clock.advance(timedelta(days=8))
    await office.reconciler.end_settled()
    line = await entry(office, request_id)
    assert (line.answer, line.ground) == ("FULFILLED_IN_PART", "legal_claims; tax law: invoices")
    assert (await office.show(request_id)).request.reason == line.ground


async def test_a_change_that_is_rolled_back_leaves_no_trace(office: Office) -> None:
    async def fail() -> None:
        async with office.database.transaction() as connection:
            await core.add(connection, [office.drafts.of(new(Right.ACCESS))], [])
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await entries(office) == []


async def test_one_person_has_one_token_in_the_ledger_and_it_is_none_of_the_suppression_tokens(office: Office) -> None:
    office.profiles.known = {"ada": PERSON}
    await office.register("stats")
    by_name = await office.accepted(Right.ERASURE, Identifier("USERNAME", "ada"))
    by_id = await office.accepted(Right.ACCESS, PERSON)
    other = await office.accepted(Right.ACCESS, Identifier("INSTAGRAM_USER_ID", "2"))
    tokens = {one.request_id: one.subject_token for one in await entries(office)}
    assert tokens[by_name] == tokens[by_id] != tokens[other]
    assert len(tokens[by_id]) == 32
    assert tokens[by_id] not in office.identifiers.tokens([PERSON])


async def test_what_a_request_only_needs_for_itself_is_no_wish_of_a_person(office: Office) -> None:
    asked = await opened(office, new(Right.ERASURE))
    for right in (Right.PREVIEW, Right.RESTRICTION, Right.LIFTING):
        await opened(office, new(right, parent_id=asked))
    await opened(office, new(Right.ACCESS, door="excerpt"))
    await opened(office, new(Right.ERASURE, door="canary"))
    instead = await opened(office, new(Right.OPT_OUT, parent_id=asked))
    assert {one.request_id for one in await entries(office)} == {asked, instead}


async def test_the_ledger_outlives_the_request(office: Office) -> None:
    request_id = await opened(office, new(Right.ACCESS))
    await office.requests.withdraw(request_id)
    async with office.database.transaction() as connection:
        await connection.execute(delete(requests))
    assert (await entry(office, request_id)).answer == "WITHDRAWN"


async def test_entries_go_24_months_after_the_answer_and_open_ones_stay(office: Office) -> None:
    ended, still_open = await opened(office, new(Right.ACCESS)), await opened(office, new(Right.ERASURE))
    await office.requests.withdraw(ended)
    worker = RetentionWorker("privacy", DECLARATIONS, office.database, office.clock)
    office.clock.advance(timedelta(days=730))
    await worker.run_once()
    assert {one.request_id for one in await entries(office)} == {ended, still_open}
    office.clock.advance(timedelta(days=1))
    await worker.run_once()
    assert {one.request_id for one in await entries(office)} == {still_open}


async def test_pages_tell_every_entry_once_newest_first(office: Office) -> None:
    made = []
    for _ in range(7):
        made.append(await opened(office, new(Right.ACCESS)))
        office.clock.advance(timedelta(hours=1))
    ledger = RequestLedger(office.database, office.clock)
    token, seen = "", []
    while True:
        found, more, _ = await ledger.page(3, messages.read_place_token(token), None, None)
        seen += [one.request_id for one in found]
        token = messages.place_token(more)
        if not token:
            break
    assert seen == made[::-1]
    start, end = (await entry(office, made[2])).received_at, (await entry(office, made[4])).received_at
    found, _, _ = await ledger.page(0, None, start, end)
    assert [one.request_id for one in found] == [made[3], made[2]]


async def test_a_receipt_that_a_door_does_not_give_by_answering_is_owed(office: Office) -> None:
    written, answered = await opened(office, new(Right.ACCESS, door="officer")), await opened(office, new(Right.ACCESS))
    assert (await entry(office, written)).confirmed_at is None
    assert (await entry(office, answered)).confirmed_at == office.clock.now()
    office.clock.advance(timedelta(days=20))
    now = office.clock.now()
    assert rules.missed(await entry(office, written), now)
    assert not rules.missed(await entry(office, answered), now)


async def test_the_metrics_of_the_database_are_those_of_the_rules(office: Office) -> None:
    now = office.clock.now()
    start = datetime(now.year, 1, 1, tzinfo=UTC)
    answers = [None, *(State[name] for name in ("FULFILLED", "FULFILLED_IN_PART", "DENIED", "EXPIRED", "WITHDRAWN"))]
    rows = []
    for number in range(240):
        received = start + timedelta(days=2 * number, hours=number)
        due = received + timedelta(days=45)
        answer = answers[number % len(answers)]
        rows.append(
            {
                "request_id": f"req_{number:03}",
                "subject_token": b"",
                "right": [Right.ACCESS, Right.ERASURE, Right.OPT_OUT][number % 3],
                "door": "web",
                "regime": "CCPA",
                "received_at": received,
                "due_at": due,
                "confirm_due_at": [None, received + timedelta(days=14)][number // 3 % 2],
                "confirmed_at": [None, received + timedelta(days=number % 20)][number // 7 % 2],
                "answered_at": received + timedelta(hours=number * 11) if answer else None,
                "answer": answer or "",
                "ground": "",
            }
        )
    async with office.database.transaction() as connection:
        await connection.execute(insert(request_ledger), rows)
    found = await RequestLedger(office.database, office.clock).metrics(start.year)
    same_year = [one for one in await entries(office) if one.received_at.year == start.year]
    assert 0 < len(same_year) < len(rows)
    expected = rules.metrics(same_year, now)
    assert [one.right for one in found] == [one.right for one in expected] != []
    for one, other in zip(found, expected, strict=True):
        assert one.median_days == pytest.approx(other.median_days)
        assert vars(one) | {"median_days": 0} == vars(other) | {"median_days": 0}


async def test_a_place_that_is_none_is_refused() -> None:
    for token in ("%%%", page_token("req_1 yesterday"), page_token("req_1 2026-01-01T00:00:00")):
        with pytest.raises(DomainError) as caught:
            messages.read_place_token(token)
        assert caught.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_the_triggers_know_requests_that_were_there_before_them(office: Office) -> None:
    request_id = await opened(office, new(Right.ACCESS))
    async with office.database.transaction() as connection:
        await connection.execute(delete(request_ledger))
    await office.requests.withdraw(request_id)
    assert (await entry(office, request_id)).answer == "WITHDRAWN"
    async with office.database.read() as connection:
        assert await connection.scalar(select(requests.c.state)) == "WITHDRAWN"
