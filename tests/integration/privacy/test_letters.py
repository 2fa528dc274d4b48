"""Letters over real SMTP: written with every change, sent once, tried again, given up aloud."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from igstats.event.v1.events_pb2 import RecordMade
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.sql import Database
from igstats_kit.testing.processes import free_port
from igstats_privacy.letters import store
from igstats_privacy.letters.correspondence import Correspondence
from igstats_privacy.letters.outgoing import Outgoing
from igstats_privacy.letters.relay import Relay
from igstats_privacy.letters.rendering import day
from igstats_privacy.letters.sender import PATIENCE, Sender, pause
from igstats_privacy.letters.tables import mails
from igstats_privacy.model import Correction, Identifier, NewRequest, Right, State
from igstats_privacy.policy import Policy
from igstats_privacy.tables import correspondents, requests
from sqlalchemy import delete, select
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, Office
from tests.integration.privacy.test_holds import announce, new_hold, step
from tests.integration.privacy.test_waits import deciding

ADA = "ada@example.com"


class Catcher:
    """A mail server that keeps what it gets, or refuses on command."""

    def __init__(self) -> None:
        self.answer = "250 OK"
        self.caught: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.caught.append(message_from_bytes(content, policy=policy.default))
        return self.answer


class Mailroom:
    """The room on a real database, before a real SMTP server."""

    def __init__(self, office: Office, catcher: Catcher, port: int) -> None:
        self.office = office
        self.catcher = catcher
        self.awake = asyncio.Event()
        self.outgoing = Outgoing(office.sealer, office.clock, is_open=True, wake=self.awake.set)
        self.correspondence = Correspondence(
            office.database,
            self.outgoing,
            office.identifiers,
            office.codes,
            office.links,
            office.clock,
            "https://stats.example",
        )
        self.sender = self.sending_to(port)

    def sending_to(self, port: int) -> Sender:
        relay = Relay(f"smtp://127.0.0.1:{port}", "igstats <privacy@stats.example>")
        return Sender(self.office.database, self.outgoing, relay, self.office.clock, self.awake)

    async def open(self, right: Right = Right.ERASURE, language: str = "en", to: str = ADA) -> str:
        named = (Identifier("ACCOUNT_ID", ACCOUNT),)
        new = NewRequest(right, "web", ACCOUNT, named, str(ULID()), reply_address=to, language=language)
        return (await self.office.requests.open(new)).request.request_id

    async def post(self) -> list[str]:
        """Writes and sends what is owed; answers the subjects of what arrived."""
        before = len(self.catcher.caught)
        await self.correspondence.run_once()
        while await self.sender.send_one():
            pass
        return [one["Subject"] for one in self.catcher.caught[before:]]

    def said(self) -> str:
        """The newest letter as text, its lines joined."""
        text = self.catcher.caught[-1].get_body(("plain",))
        assert text is not None
        content: str = text.get_content()
        return " ".join(content.split())

    async def addresses(self) -> list[str]:
        """The requests of which an address is kept."""
        async with self.office.database.read() as connection:
            return list((await connection.execute(select(correspondents.c.request_id))).scalars())

    async def states(self, request_id: str) -> dict[str, str]:
        async with self.office.database.read() as connection:
            return await store.states(connection, request_id)


@pytest.fixture
def catcher() -> Iterator[tuple[Catcher, int]]:
    catcher = Catcher()
    controller = Controller(catcher, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield catcher, controller.port
    controller.stop()


@pytest.fixture
async def mailroom(office: Office, catcher: tuple[Catcher, int]) -> Mailroom:
    await office.register("stats")
    return Mailroom(office, *catcher)


async def test_a_person_gets_a_receipt_at_once_and_the_result_at_the_end_and_nothing_else(mailroom: Mailroom) -> None:
    request_id = await mailroom.open()
    shown = await mailroom.office.show(request_id)
    reference = shown.request.reference
    assert await mailroom.post() == [f"We have received your request {reference}"]
    await mailroom.office.triage.run_once()
    assert await mailroom.post() == []
    await mailroom.office.work()
    mailroom.office.clock.advance(timedelta(days=30))
    await mailroom.office.reconciler.end_settled()
    assert await mailroom.post() == [f"Your request {reference} is done"]
    assert await mailroom.post() == []
    receipt = mailroom.catcher.caught[0]
    text = receipt.get_body(("plain",))
    assert text is not None
    assert f"https://stats.example/privacy/requests/{shown.status_code}" in text.get_content().replace("=\n", "")


async def test_letters_are_written_in_the_language_of_the_person(mailroom: Mailroom) -> None:
    await mailroom.open(language="de-AT")
    (subject,) = await mailroom.post()
    assert subject.startswith("Ihr Antrag ")
    assert mailroom.catcher.caught[0]["Content-Language"] == "de"


async def test_what_a_letter_said_and_where_it_went_is_destroyed_once_it_is_sent(mailroom: Mailroom) -> None:
    request_id = await mailroom.open()
    await mailroom.post()
    async with mailroom.office.database.read() as connection:
        assert (await connection.execute(select(mails.c.state, mails.c.sealed))).all() == [("SENT", None)]
    await mailroom.office.requests.withdraw(request_id)
    await mailroom.post()
    assert await mailroom.addresses() == []


async def test_a_relay_that_is_down_or_busy_gets_the_letter_later(mailroom: Mailroom) -> None:
    request_id = await mailroom.open()
    good, mailroom.sender = mailroom.sender, mailroom.sending_to(free_port())
    assert await mailroom.post() == []
    mailroom.sender = good
    assert await mailroom.post() == [], "too early"
    mailroom.office.clock.advance(pause(1))
    mailroom.catcher.answer = "451 try again"
    assert await mailroom.post() == []
    mailroom.catcher.answer = "250 OK"
    mailroom.office.clock.advance(pause(2))
    assert len(await mailroom.post()) == 1
    assert await mailroom.states(request_id) == {"receipt": "SENT"}


@pytest.mark.parametrize("refused", [True, False], ids=["refused for good", "nobody takes it for five days"])
async def test_a_letter_that_nobody_takes_is_given_up_aloud(mailroom: Mailroom, *, refused: bool) -> None:
    request_id = await mailroom.open()
    mailroom.catcher.answer = "550 no such person" if refused else "451 try again"
    await mailroom.post()
    if not refused:
        mailroom.office.clock.advance(PATIENCE)
        await mailroom.post()
    assert await mailroom.states(request_id) == {"receipt": "FAILED"}
    made = [RecordMade.FromString(data) for data in await mailroom.office.posted(RecordMade)]
    kinds = [one.kind for message in made for one in message.records]
    assert "letter.failed" in kinds


async def test_two_senders_send_each_letter_once(mailroom: Mailroom) -> None:
    for number in range(12):
        await mailroom.open(to=f"ada{number}@example.com")
    await mailroom.correspondence.run_once()

    async def drain() -> None:
        while await mailroom.sender.send_one():
            pass

    await asyncio.gather(drain(), drain())
    assert len({one["Message-ID"] for one in mailroom.catcher.caught}) == len(mailroom.catcher.caught) == 12


async def test_requests_without_an_address_bring_no_letter_about(mailroom: Mailroom) -> None:
    await mailroom.office.accepted()
    assert await mailroom.post() == []


async def test_a_refusal_says_why_in_the_persons_language_and_in_the_officers_words(mailroom: Mailroom) -> None:
    request_id = await mailroom.open(language="de")
    await mailroom.post()
    await deciding(mailroom.office).deny(request_id, "ada", "MANIFESTLY_UNFOUNDED", "Das neunte Mal in dieser Woche.")
    assert len(await mailroom.post()) == 1
    said = mailroom.said()
    assert "offenkundig unbegründet" in said
    assert "Das neunte Mal in dieser Woche." in said
    assert "Datenschutzbehörde" in said, "where to complain"
    assert "Artikel 12 Absatz 5" in said


async def test_an_extension_says_until_when_and_why(mailroom: Mailroom) -> None:
    request_id = await mailroom.open()
    await mailroom.post()
    shown = await deciding(mailroom.office).extend(request_id, "ada", "many systems are concerned")
    assert await mailroom.post() == [f"Your request {shown.request.reference} takes longer"]
    assert shown.extension_reasons == "many systems are concerned"
    assert shown.extension_reasons in mailroom.said(), "the same words everywhere"
    assert day(shown.request.due_at, "en") in mailroom.said()
    assert await mailroom.post() == []


async def test_who_repeats_a_request_is_told_of_its_extension_with_the_reasons(mailroom: Mailroom) -> None:
    first, second = await mailroom.open(), await mailroom.open()
    await mailroom.office.triage.run_once()
    await mailroom.post()
    await deciding(mailroom.office).extend(first, "ada", "many systems are concerned")
    references = [(await mailroom.office.show(one)).request.reference for one in (first, second)]
    assert sorted(await mailroom.post()) == sorted(f"Your request {one} takes longer" for one in references)
    assert "many systems are concerned" in mailroom.said()


async def test_a_person_is_told_before_an_officer_lifts_a_restriction(mailroom: Mailroom) -> None:
    office = mailroom.office
    named = (Identifier("ACCOUNT_ID", ACCOUNT),)
    new = NewRequest(Right.LIFTING, "officer", "", named, str(ULID()), "letter seen", reply_address=ADA, language="en")
    request_id = (await office.requests.open(new)).request.request_id
    assert len(await mailroom.post()) == 1, "a receipt, and no date that nobody knows yet"
    await office.triage.run_once()
    (subject,) = await mailroom.post()
    until = (await office.show(request_id)).request.wait_until
    assert "about to end" in subject
    assert f"not before {day(until, 'en')}" in mailroom.said()
    assert await office.state(request_id) is State.TRIAGE


async def kept_back(mailroom: Mailroom, *stores: str, until: timedelta = timedelta(days=90)) -> tuple[str, list[str]]:
    """An erasure that ended in part, of whose end its person has been told, and the holds that keep a part back."""
    await announce(mailroom.office, "stats")
    holds = []
    for name in stores:
        wanted = new_hold(mailroom.office, identifiers=(Identifier("ACCOUNT_ID", ACCOUNT),), groups=(("stats", name),))
        wanted = replace(wanted, until=mailroom.office.clock.now() + until)
        holds.append((await mailroom.office.holds.place(wanted, "ada")).hold_id)
    request_id = await mailroom.open()
    await mailroom.office.triage.run_once()
    await ended(mailroom, Outcome.OUTCOME_RETAINED)
    assert await mailroom.office.state(request_id) is State.FULFILLED_IN_PART
    assert len(await mailroom.post()) == 2
    assert "We keep this address until then" in mailroom.said()
    return request_id, holds


async def ended(mailroom: Mailroom, outcome: Outcome.ValueType | None) -> None:
    for phase in ("FENCE", "ERASE", "SWEEP", "ATTEST"):
        await step(mailroom.office, phase, outcome if phase in ("ERASE", "ATTEST") else None)
    mailroom.office.clock.advance(timedelta(days=8))
    await mailroom.office.reconciler.end_settled()


async def test_who_was_told_of_a_hold_is_told_when_the_rest_goes_and_then_the_address_is_destroyed(
    mailroom: Mailroom,
) -> None:
    request_id, (hold,) = await kept_back(mailroom, "media")
    reference = (await mailroom.office.show(request_id)).request.reference
    assert await mailroom.addresses() == [request_id]
    (resumed,) = (await mailroom.office.holds.release(hold, "grace")).resumed
    assert await mailroom.post() == [], "no receipt for what nobody asked for"
    assert await mailroom.addresses() == [resumed]
    await mailroom.office.triage.run_once()
    await ended(mailroom, None)
    assert await mailroom.post() == [f"The last of your data is deleted (request {reference})"]
    assert await mailroom.addresses() == []


async def test_of_two_holds_the_second_keeps_the_address_for_the_letter_about_the_end(mailroom: Mailroom) -> None:
    request_id, (first, second) = await kept_back(mailroom, "media", "samples")
    (resumed,) = (await mailroom.office.holds.release(first, "grace")).resumed
    await mailroom.office.triage.run_once()
    await ended(mailroom, Outcome.OUTCOME_RETAINED)
    assert [subject.partition(" is ")[2] for subject in await mailroom.post()] == ["done in part"]
    assert await mailroom.addresses() == sorted([request_id, resumed])
    (again,) = (await mailroom.office.holds.release(second, "grace")).resumed
    await mailroom.post()
    assert await mailroom.addresses() == [again]
    await mailroom.office.triage.run_once()
    await ended(mailroom, None)
    assert len(await mailroom.post()) == 1
    assert await mailroom.addresses() == []


async def test_an_address_outlives_the_request_as_long_as_the_hold_and_no_longer(mailroom: Mailroom) -> None:
    _, (hold,) = await kept_back(mailroom, "media", until=timedelta(days=3000))
    async with mailroom.office.database.transaction() as connection:  # as retention does after two years
        await connection.execute(delete(requests))
        until = await connection.scalar(select(correspondents.c.needed_until))
    assert until is not None
    assert until > mailroom.office.clock.now() + timedelta(days=2900), "retention counts from the end of the hold"
    (resumed,) = (await mailroom.office.holds.release(hold, "grace")).resumed
    assert await mailroom.addresses() == [resumed]
    await mailroom.office.triage.run_once()
    await ended(mailroom, None)
    assert [subject.partition(" (")[0] for subject in await mailroom.post()] == ["The last of your data is deleted"]
    assert await mailroom.addresses() == []


async def test_what_a_law_keeps_without_a_hold_is_explained_and_keeps_no_address(mailroom: Mailroom) -> None:
    mailroom.office.holders["stats"].grounds = ("tax law: invoices",)
    request_id = await mailroom.open()
    await mailroom.office.triage.run_once()
    await ended(mailroom, Outcome.OUTCOME_RETAINED)
    assert await mailroom.office.state(request_id) is State.FULFILLED_IN_PART
    await mailroom.post()
    assert "It stays because tax law obliges us to keep invoices (GDPR article 17(3)(b))." in mailroom.said()
    assert "We keep this address" not in mailroom.said()
    assert await mailroom.addresses() == []


async def test_a_person_whose_value_was_checked_is_told_before_the_restriction_ends(
    database: Callable[[str], Awaitable[Database]], catcher: tuple[Catcher, int]
) -> None:
    policy = Policy(approve=frozenset({Right.CORRECTION}), notice=timedelta(days=7))
    office = Office(await database("privacy"), policy=policy)
    await office.register("stats")
    mailroom = Mailroom(office, *catcher)
    named, wrong = (Identifier("USERNAME", "ada"),), (Correction("profiles.website", "https://ada.example"),)
    new = NewRequest(Right.CORRECTION, "web", "", named, str(ULID()), "seen", reply_address=ADA, corrections=wrong)
    shown = await office.requests.open(new)
    await office.triage.run_once()
    await office.triage.run_once()
    assert len(await mailroom.post()) == 1, "a receipt"
    await office.work(Sent.RIGHT_RESTRICTION)
    await deciding(office, policy).deny(shown.request.request_id, "ada", "OTHER", "the source says otherwise")
    await office.triage.run_once()
    reference = shown.request.reference
    assert sorted(await mailroom.post()) == sorted(
        [
            f"We cannot do what request {reference} asks for",
            f"The restriction of your data is about to end (request {reference})",
        ]
    )
