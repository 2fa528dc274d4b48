"""Those who got a person's data are told what happened to it (GDPR 19), and nobody else is."""

from datetime import timedelta

from igstats.event.v1.events_pb2 import ValuesCorrected
from igstats.holder.v1.receipt_pb2 import Corrected
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.events import Event
from igstats_privacy.consumer import CorrectionConsumer
from igstats_privacy.model import Correction, Identifier, NewRequest, Recipient, Right
from igstats_privacy.tables import recipients
from sqlalchemy import select
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, Office

ADA = Identifier("INSTAGRAM_USER_ID", "17841400000000001")


async def opened(office: Office, right: Right) -> str:
    office.profiles.recipients = ("acc_one", "acc_two")
    await office.register("stats")
    wrong = (Correction("profiles.name", "Ada"),) if right is Right.CORRECTION else ()
    new = NewRequest(right, "api", ACCOUNT, (ADA,), str(ULID()), "seen", corrections=wrong)
    request_id: str = (await office.requests.open(new)).request.request_id
    await office.triage.run_once()
    return request_id


async def told(office: Office, account_id: str = "acc_one") -> list[Recipient]:
    found, _ = await office.recipients.notices(account_id, 0, "")
    return list(found)


def corrected(office: Office, request_id: str, *fields: str) -> Event:
    message = ValuesCorrected(
        request_id=request_id, holder="stats", corrected=[Corrected(field=field) for field in fields]
    )
    subject = "igstats.stats.v1.value.corrected"
    name = "igstats.event.v1.ValuesCorrected"
    return Event(str(ULID()), subject, name, office.clock.now(), message.SerializeToString())


async def test_recipients_of_a_corrected_value_are_told_the_field_and_whose_it_is(office: Office) -> None:
    request_id = await opened(office, Right.CORRECTION)
    assert await told(office) == []
    await office.work(Sent.RIGHT_CORRECTION)
    consumer = CorrectionConsumer(office.database)
    event = corrected(office, request_id, "profiles.name")
    await consumer.handle([event])
    await consumer.handle([event, corrected(office, request_id, "profiles.biography", "profiles.name")])
    for account in ("acc_one", "acc_two"):
        (notice,) = await told(office, account)
        assert (notice.told, notice.instagram_user_ids) == ("CORRECTED", (ADA.value,))
        assert notice.fields == ("profiles.biography", "profiles.name")
        assert notice.told_at is not None
    assert await told(office, ACCOUNT) == []
    officers = await office.recipients.of_request(request_id)
    assert [(one.account_id, one.told) for one in officers] == [("acc_one", "CORRECTED"), ("acc_two", "CORRECTED")]


async def test_a_correction_that_changed_nothing_is_told_to_nobody(office: Office) -> None:
    await opened(office, Right.CORRECTION)
    await office.work(Sent.RIGHT_CORRECTION)
    assert await told(office) == []


async def test_recipients_of_an_erased_person_are_told_when_the_holders_have_done_it(office: Office) -> None:
    request_id = await opened(office, Right.ERASURE)
    assert [one.told for one in await office.recipients.of_request(request_id)] == ["", ""]
    await office.work()
    (notice,) = await told(office)
    assert (notice.told, notice.instagram_user_ids, notice.fields) == ("ERASED", (ADA.value,), ())


async def test_a_restriction_and_its_end_are_told_and_an_access_request_is_not(office: Office) -> None:
    for right in (Right.RESTRICTION, Right.LIFTING, Right.ACCESS):
        await opened(office, right)
        await office.work(Sent.Value(f"RIGHT_{right}"))
    assert [notice.told for notice in await told(office)] == ["LIFTED", "RESTRICTED"]


async def test_notices_come_by_pages_newest_first(office: Office) -> None:
    for _ in range(3):
        await opened(office, Right.RESTRICTION)
        office.clock.advance(timedelta(seconds=1))
        await office.work(Sent.RIGHT_RESTRICTION)
    first, more = await office.recipients.notices("acc_one", 2, "")
    rest, end = await office.recipients.notices("acc_one", 2, more)
    assert [len(first), len(rest), end] == [2, 1, ""]
    ids = [one.notice_id for one in (*first, *rest)]
    assert ids == sorted(ids, reverse=True)


async def test_whose_data_it_was_is_sealed_where_it_is_stored(office: Office) -> None:
    await opened(office, Right.ERASURE)
    async with office.database.read() as connection:
        rows = (await connection.execute(select(recipients))).all()
    assert rows
    assert not any(ADA.value in str(row) or "acc_one" in str(row) for row in rows)
