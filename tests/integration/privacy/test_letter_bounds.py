"""What strangers cannot do by letters: flood a mailbox, or stop the letters of others."""

import asyncio
from datetime import datetime, timedelta
from email.message import EmailMessage

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats_privacy.letters import relay
from igstats_privacy.letters.rendering import Rendered
from igstats_privacy.letters.rules import STAYS_OWED
from igstats_privacy.letters.sender import PATIENCE
from igstats_privacy.mailing_store import MOST_A_DAY, MOST_UNASKED, take
from igstats_privacy.model import Identifier, NewRequest, Right
from ulid import ULID

from tests.integration.privacy import test_letters
from tests.integration.privacy.test_letters import ADA, Mailroom

catcher, mailroom = test_letters.catcher, test_letters.mailroom


async def opened_by(mailroom: Mailroom, proof: str, right: Right) -> str:
    """A request that names the address as its person's."""
    named = (Identifier("EMAIL", ADA),)
    new = NewRequest(right, "web", "", named, str(ULID()), proof, reply_address=ADA, language="en")
    return (await mailroom.office.requests.open(new)).request.request_id


async def test_an_address_that_nobody_has_proved_gets_few_letters_a_day_and_the_requests_stay_visible(
    mailroom: Mailroom,
) -> None:
    opened = [await mailroom.open(to=address) for address in (ADA, "Ada@Example.COM") for _ in range(MOST_UNASKED)]
    other = await mailroom.open(to="eve@example.com")
    assert len(await mailroom.post()) == MOST_UNASKED + 1
    assert await mailroom.states(other) == {"receipt": "SENT"}
    told = [await mailroom.states(one) for one in opened]
    assert told.count({"receipt": "SENT"}) == MOST_UNASKED
    for request_id in opened:
        shown = await mailroom.office.show(request_id)
        assert mailroom.office.codes.read(shown.status_code) == request_id
    made = [RecordMade.FromString(data) for data in await mailroom.office.posted(RecordMade)]
    kinds = [one.kind for message in made for one in message.records]
    assert kinds.count("letter.withheld") == MOST_UNASKED
    assert await mailroom.post() == [], "what was withheld does not come the same day"
    mailroom.office.clock.advance(timedelta(days=1))
    fresh = await mailroom.open()
    assert len(await mailroom.post()) == MOST_UNASKED, "the next day"
    assert await mailroom.states(fresh) == {"receipt": "SENT"}, "what is new goes first"
    assert await mailroom.post() == []
    mailroom.office.clock.advance(timedelta(days=1))
    assert len(await mailroom.post()) == 1
    told = [await mailroom.states(one) for one in opened]
    assert told == [{"receipt": "SENT"}] * len(opened), "each once"
    made = [RecordMade.FromString(data) for data in await mailroom.office.posted(RecordMade)]
    assert "letter.withheld" not in [one.kind for message in made for one in message.records], "on record already"


async def test_requests_of_strangers_keep_no_letter_of_a_proved_one_back(mailroom: Mailroom) -> None:
    for _ in range(MOST_UNASKED):
        await opened_by(mailroom, "", Right.ERASURE)
    assert len(await mailroom.post()) == MOST_UNASKED
    own = await mailroom.open()
    assert await mailroom.post() == []
    await mailroom.office.triage.run_once()
    assert len(await mailroom.post()) == 1, "as soon as it is proved"
    assert await mailroom.states(own) == {"receipt": "SENT"}


async def test_one_who_is_proved_floods_no_address_of_another(mailroom: Mailroom) -> None:
    opened = [await mailroom.open(to="eve@example.com") for _ in range(MOST_UNASKED + 2)]
    await mailroom.office.triage.run_once()
    assert len(await mailroom.post()) == MOST_UNASKED
    mailroom.office.clock.advance(timedelta(days=1))
    assert len(await mailroom.post()) == 2
    assert [await mailroom.states(one) for one in opened] == [{"receipt": "SENT"}] * len(opened)


async def full(mailroom: Mailroom) -> None:
    """Strangers have used up the day of the address."""
    (channel, _) = mailroom.office.identifiers.mail_tokens(ADA)
    async with mailroom.office.database.transaction() as connection:
        await take(connection, {channel: MOST_A_DAY}, mailroom.office.clock.now(), MOST_A_DAY)


async def test_the_last_letter_of_a_request_that_nobody_proved_is_tried_for_five_days(mailroom: Mailroom) -> None:
    clock = mailroom.office.clock
    patient, hopeless = [await opened_by(mailroom, "", Right.ERASURE) for _ in range(2)]
    await mailroom.post()
    await mailroom.office.triage.run_once()
    await full(mailroom)
    for request_id in (patient, hopeless):
        await mailroom.office.requests.withdraw(request_id)
    assert await mailroom.post() == []
    assert sorted(await mailroom.addresses()) == sorted([patient, hopeless])
    clock.advance(STAYS_OWED - timedelta(days=1))
    await full(mailroom)
    assert await mailroom.post() == []
    clock.advance(timedelta(days=1))
    async with mailroom.office.database.transaction() as connection:
        (channel, _) = mailroom.office.identifiers.mail_tokens(ADA)
        await take(connection, {channel: MOST_UNASKED - 1}, clock.now(), MOST_UNASKED)
    assert len(await mailroom.post()) == 1
    assert [(await mailroom.states(one)).get("result") for one in (patient, hopeless)] == ["SENT", None]
    assert await mailroom.addresses() == []


async def test_flooding_an_address_with_letters_leaves_room_for_its_owners_codes(mailroom: Mailroom) -> None:
    for _ in range(2 * MOST_A_DAY):
        await mailroom.open()
    await mailroom.post()
    (channel, _) = mailroom.office.identifiers.mail_tokens(ADA)
    async with mailroom.office.database.transaction() as connection:
        left = await take(connection, {channel: 2 * MOST_A_DAY}, mailroom.office.clock.now(), MOST_A_DAY)
    assert left == {channel: MOST_A_DAY - MOST_UNASKED}


async def test_letters_to_a_person_who_has_proved_the_address_are_not_counted(mailroom: Mailroom) -> None:
    proved = [await opened_by(mailroom, "mail code", Right.ERASURE) for _ in range(MOST_UNASKED + 2)]
    await mailroom.office.triage.run_once()
    assert len(await mailroom.post()) == len(proved)


@pytest.mark.parametrize("right", [Right.OPT_OUT, Right.ERASURE])
async def test_naming_an_address_as_ones_own_proves_nothing_even_where_no_proof_is_asked_for(
    mailroom: Mailroom, right: Right
) -> None:
    for _ in range(MOST_UNASKED + 2):
        await opened_by(mailroom, "", right)
    await mailroom.office.triage.run_once()
    assert len(await mailroom.post()) == MOST_UNASKED


async def test_two_who_write_letters_at_once_count_each_address_once(mailroom: Mailroom) -> None:
    addresses = [f"ada{number}@example.com" for number in range(MOST_UNASKED)]
    for address in (*addresses, *reversed(addresses)):
        for _ in range(MOST_UNASKED):
            await mailroom.open(to=address)
    counts = await asyncio.gather(mailroom.correspondence.run_once(), mailroom.correspondence.run_once())
    assert sum(counts) == 2 * MOST_UNASKED**2
    assert len(await mailroom.post()) == MOST_UNASKED**2


async def codes_for(mailroom: Mailroom, *addresses: str) -> list[str]:
    """Requests with a code for each of these addresses, as from before addresses were checked."""
    opened = [await mailroom.open() for _ in addresses]
    await mailroom.post()
    async with mailroom.office.database.transaction() as connection:
        for request_id, address in zip(opened, addresses, strict=True):
            values = {"code": "1234 5678", "reference": request_id, "minutes": "15"}
            await mailroom.outgoing.send("code", address, "en", values, connection=connection, request_id=request_id)
    return opened


@pytest.mark.parametrize("address", ["b@[.x", ":@;.x", "undisclosed:;", "a,b@example.com"])
async def test_a_letter_to_what_is_no_address_is_given_up_and_the_next_one_arrives(
    mailroom: Mailroom, address: str
) -> None:
    bad, good = await codes_for(mailroom, address, ADA)
    assert len(await mailroom.post()) == 1
    assert [(await mailroom.states(one))["code"] for one in (bad, good)] == ["FAILED", "SENT"]


async def test_a_fault_of_one_letter_stops_neither_the_others_nor_the_service(
    mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await codes_for(mailroom, ADA, ADA)
    made = relay.message

    def faulty(sender: str, mail_id: str, to: str, letter: Rendered, written: datetime) -> EmailMessage:
        if bad in letter.subject:
            raise AttributeError(to)
        return made(sender, mail_id, to, letter, written)

    monkeypatch.setattr(relay, "message", faulty)
    assert len(await mailroom.post()) == 1
    assert [(await mailroom.states(one))["code"] for one in (bad, good)] == ["WAITING", "SENT"]
    mailroom.office.clock.advance(PATIENCE)
    assert await mailroom.post() == []
    assert (await mailroom.states(bad))["code"] == "FAILED"
