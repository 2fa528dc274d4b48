"""Breaches, alerts of clocks and the register of processing on a real database, as RecordService answers them."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.event.v1.events_pb2 import AuditRecord, RecordMade
from igstats.holder.v1.description_pb2 import FieldDescription, HolderDescription, StoreDescription, SubjectKind
from igstats.holder.v1.holder_tasks_service_pb2 import RegisterHolderRequest
from igstats.privacy.v1 import record_service_pb2 as pb
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.identity import assume
from igstats_privacy.access import ACCESS
from igstats_privacy.messages import announced as read_announcement
from igstats_privacy.model import Identifier, NewRequest, Regime, Right
from igstats_privacy.records.activities import Controller
from igstats_privacy.records.breaches import Breaches
from igstats_privacy.records.clock_watch import ClockWatch
from igstats_privacy.records.request_ledger import RequestLedger
from igstats_privacy.records.servicer import RecordServicer
from igstats_privacy.tables import requests
from prometheus_client import REGISTRY
from sqlalchemy import select, update
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, FakeHolder, Office

CONTROLLER = Controller("Example Corp", "a@example.com", "https://example.com", "1 Street", "dpo@example.com", "+1")
DAY = timedelta(days=1)


class Records:
    """RecordService as an officer calls it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        database, clock = office.database, office.clock
        self.watch = ClockWatch(database, clock)
        ledger, breaches = RequestLedger(database, clock), Breaches(database, office.officer_ids, clock)
        self.servicer = RecordServicer(ledger, breaches, self.watch, office.registry, CONTROLLER, clock)

    async def call(self, name: str, **fields: Any) -> Any:
        assume("operator", name="ada")
        return await getattr(self.servicer, name)(getattr(pb, f"{name}Request")(**fields), None)

    async def breach(self, text: str = "A laptop was lost.", *, hours: float = 0) -> pb.Breach:
        found = Timestamp()
        found.FromDatetime(self.office.clock.now() - timedelta(hours=hours))
        fields = {"discovered_time": found, "text": text, "categories": ["user.contact.email"], "person_count": 12}
        made: pb.Breach = (await self.call("OpenBreach", **fields)).breach
        return made

    async def amend(self, breach_id: str, kind: str) -> pb.Breach:
        answer = await self.call("AmendBreach", breach_id=breach_id, kind=kind, text="in words")
        made: pb.Breach = answer.breach
        return made

    async def alerts(self) -> Sequence[tuple[str, str, int]]:
        answer = await self.call("ListAlerts")
        return [(one.request_id or one.breach_id, one.clock, one.percent) for one in answer.alerts]

    async def recorded(self, *kinds: str) -> list[AuditRecord]:
        found = [RecordMade.FromString(data) for data in await self.office.posted(RecordMade)]
        return [one for message in found for one in message.records if one.kind in kinds]

    async def open(self, door: str = "officer", regime: Regime = Regime.CCPA) -> str:
        named = (Identifier("INSTAGRAM_USER_ID", "1"),)
        new = NewRequest(Right.ACCESS, door, ACCOUNT, named, str(ULID()), regime=regime)
        return (await self.office.requests.open(new)).request.request_id


@pytest.fixture
def records(office: Office) -> Records:
    return Records(office)


async def test_a_breach_has_72_hours_from_its_discovery_and_its_story_is_only_added_to(records: Records) -> None:
    made = await records.breach(hours=10)
    assert made.breach_id.startswith("brc_")
    assert made.authority_due_time.seconds - made.discovered_time.seconds == 72 * 3600
    assert (made.missed, made.person_count, list(made.categories)) == (False, 12, ["user.contact.email"])
    await records.amend(made.breach_id, "assessed")
    records.office.clock.advance(timedelta(hours=1))
    told = await records.amend(made.breach_id, "authority_told")
    assert [one.kind for one in told.events] == ["discovered", "assessed", "authority_told"]
    assert {one.officer for one in told.events} == {"ada"}
    assert told.events[0].text == "A laptop was lost."
    assert told.HasField("authority_told_time")
    closed = await records.amend(made.breach_id, "closed")
    assert closed.HasField("closed_time")
    with pytest.raises(DomainError) as caught:
        await records.amend(made.breach_id, "mended")
    assert caught.value.reason is Reason.TRANSITION_NOT_ALLOWED
    (shown,) = (await records.call("ListBreaches")).breaches
    assert shown == closed
    assert list((await records.call("ListBreaches", open_only=True)).breaches) == []


async def test_every_step_of_a_breach_is_a_record_without_its_words(records: Records) -> None:
    made = await records.breach("Jane Doe's laptop")
    await records.amend(made.breach_id, "assessed")
    found = await records.recorded("breach.opened", "breach.amended")
    assert [one.kind for one in found] == ["breach.opened", "breach.amended"]
    assert "Jane" not in "".join(one.payload_json for one in found)
    assert json.loads(found[1].payload_json) == {
        "breach_id": made.breach_id,
        "event": "assessed",
        "number": 1,
        "officer": records.office.officer_ids.of("ada"),
    }


async def test_a_breach_of_tomorrow_and_one_that_is_not_there_are_refused(records: Records) -> None:
    for wrong, reason in (
        (records.breach(hours=-1), Reason.FIELD_INVALID),
        (records.amend("brc_none", "note"), Reason.BREACH_NOT_FOUND),
    ):
        with pytest.raises(DomainError) as caught:
            await wrong
        assert caught.value.reason is reason


async def test_a_breach_told_late_shows_that_it_was_late(records: Records) -> None:
    made = await records.breach(hours=73)
    assert made.missed
    assert await records.alerts() == [(made.breach_id, "authority", 100)]
    assert (await records.amend(made.breach_id, "authority_told")).missed
    assert await records.alerts() == []


async def test_each_share_of_a_clock_is_recorded_once(records: Records) -> None:
    request_id = await records.open("api")
    clock = records.office.clock
    assert await records.watch.run_once() == []
    for days, percent in ((23, 50), (11, 75), (7, 90), (4, 100)):
        clock.advance(days * DAY)
        assert await records.alerts() == [(request_id, "answer", percent)]
        (fresh,) = await records.watch.run_once()
        assert (fresh.about, fresh.percent) == (request_id, percent)
        assert await records.watch.run_once() == []
    found = await records.recorded("request.clock")
    assert [(one.request_id, json.loads(one.payload_json)["percent"]) for one in found] == [
        (request_id, percent) for percent in (50, 75, 90, 100)
    ]
    assert missed("answer") == 1
    await records.office.requests.withdraw(request_id)
    await records.watch.run_once()
    assert missed("answer") == 0
    assert await records.alerts() == []


def missed(clock: str) -> float | None:
    return REGISTRY.get_sample_value("igstats_clocks_missed", {"clock": clock})


async def test_an_extended_clock_alerts_anew(records: Records) -> None:
    request_id = await records.open("api")
    records.office.clock.advance(42 * DAY)
    assert [one.percent for one in await records.watch.run_once()] == [90]
    async with records.office.database.transaction() as connection:
        (received,) = (await connection.execute(select(requests.c.received_at))).scalars()
        await connection.execute(update(requests).values(due_at=received + 90 * DAY))
    assert await records.alerts() == []
    records.office.clock.advance(4 * DAY)
    assert await records.alerts() == [(request_id, "answer", 50)]
    assert [one.percent for one in await records.watch.run_once()] == [50]


async def test_a_receipt_that_was_never_confirmed_alerts_before_the_answer_does(records: Records) -> None:
    by_officer, by_api = await records.open("officer"), await records.open("api")
    records.office.clock.advance(17 * DAY)
    assert await records.alerts() == [(by_officer, "confirm", 100)]
    records.office.clock.advance(30 * DAY)
    assert set(await records.alerts()) == {
        (by_officer, "confirm", 100),
        (by_officer, "answer", 100),
        (by_api, "answer", 100),
    }


async def test_the_most_urgent_alert_is_the_first(records: Records) -> None:
    request_id = await records.open("api")
    records.office.clock.advance(30 * DAY)
    fresh, old = await records.breach(hours=40), await records.breach(hours=100)
    assert await records.alerts() == [
        (old.breach_id, "authority", 100),
        (fresh.breach_id, "authority", 50),
        (request_id, "answer", 50),
    ]


@pytest.mark.parametrize("form", ["json", "csv", "html"])
async def test_the_register_is_that_of_the_registered_holders(records: Records, form: str) -> None:
    office = records.office
    store = StoreDescription(store="samples", purpose="show statistics", legal_basis="contract", retention="30 days")
    store.subject_kind = SubjectKind.SUBJECT_KIND_PROFILE
    store.fields.append(FieldDescription(name="username", category="user.social"))
    described = HolderDescription(holder="stats", stores=[store])
    key = FakeHolder("stats", office.clock).signer.public_key
    announced = RegisterHolderRequest(description=described, public_key=key)
    await office.registry.register(*read_announcement(announced, office.clock.now()))
    content = (await records.call("ExportRegister", format=form)).content.decode()
    for words in ("Example Corp", "dpo@example.com", "samples", "show statistics", "user.social", "30 days"):
        assert words in content


async def test_the_ledger_and_its_metrics_are_answered(records: Records) -> None:
    made = [await records.open("api") for _ in range(3)]
    await records.office.requests.withdraw(made[0])
    first = await records.call("ListLedger", page_size=2)
    rest = await records.call("ListLedger", page_size=2, page_token=first.next_page_token)
    entries = [*first.entries, *rest.entries]
    assert [one.request_id for one in entries] == sorted(made, reverse=True)
    assert (entries[-1].answer, entries[0].answer, rest.next_page_token) == ("WITHDRAWN", "", "")
    assert len(bytes.fromhex(entries[0].subject_token)) == 32
    (numbers,) = (await records.call("GetMetrics", year=records.office.clock.now().year)).rights
    assert (numbers.right, numbers.received, numbers.open) == ("ACCESS", 3, 2)
    assert list((await records.call("GetMetrics", year=2020)).rights) == []


def test_only_officers_call_the_records() -> None:
    callers = {name: row.callers for name, row in ACCESS.items() if "/igstats.privacy.v1.RecordService/" in name}
    assert len(callers) == 7
    assert set(callers.values()) == {frozenset({"operator"})}
