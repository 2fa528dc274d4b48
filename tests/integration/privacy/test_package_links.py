"""Links of packages: from the letter to the ZIP, once, and nobody learns why a link does not work."""

import asyncio
import hashlib
import io
import json
import queue
import re
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from igstats.event.v1.events_pb2 import AuditRecord, RecordMade
from igstats.holder.v1.identifier_pb2 import Identifier as Named
from igstats.holder.v1.identifier_pb2 import IdentifierKind
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats.privacy.v1 import privacy_service_pb2 as pb
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats.privacy.v1.status_service_pb2 import ReadPackageRequest
from igstats.privacy.v1.status_service_pb2_grpc import StatusServiceStub
from igstats_kit.errors import DomainError, Reason
from igstats_kit.subjects import Case, Subjects
from igstats_kit.testing.processes import free_port
from igstats_privacy.declarations import DECLARATIONS
from igstats_privacy.identifiers import normalised
from igstats_privacy.model import Identifier, NewRequest, Right, State
from igstats_privacy.shares import Piece
from igstats_privacy.tables import package_links
from sqlalchemy import func, select
from ulid import ULID

from tests.integration.privacy.conftest import Office
from tests.integration.privacy.served import Service
from tests.integration.privacy.test_letters import ADA, Catcher, Mailroom

EMAIL, USERNAME = Identifier("EMAIL", "Ada@Example.com"), Identifier("USERNAME", "ada")
_LINK = re.compile(r"https://stats\.example/privacy/packages/([0-9a-z]+\.[0-9a-f]+)")


class LinkCatcher(Catcher):
    """A mail server that hands on the links of letters."""

    def __init__(self) -> None:
        super().__init__()
        self.links: queue.Queue[str] = queue.Queue()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        text = self.caught[-1].get_body(("plain",))
        if text is not None and (found := _LINK.search(" ".join(text.get_content().split()))):
            self.links.put(found[1])
        return answer


@pytest.fixture
def caught() -> Iterator[Controller]:
    controller = Controller(LinkCatcher(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
async def mailroom(office: Office, caught: Controller) -> Mailroom:
    await office.register("stats")
    return Mailroom(office, caught.handler, caught.port)


async def _lines() -> AsyncIterator[Piece]:
    for number in range(40):
        yield Piece("profiles", f'{{"number": {number}}}\n'.encode(), 1)
    yield Piece("samples", b'{"number": 0}\n', 1)


async def fulfilled(office: Office, *named: Identifier, right: Right = Right.ACCESS, share: bool = True) -> str:
    """A request by the form that an officer has proved and every holder has answered."""
    office.profiles.connected = False
    new = NewRequest(right, "web", "", named or (EMAIL,), str(ULID()), reply_address=ADA, language="en")
    request_id = (await office.requests.open(new)).request.request_id
    await office.triage.run_once()
    await office.requests.confirm_identity(request_id, "passport seen")
    await office.triage.run_once()
    if share:
        await office.shares.take_one("stats", f"{request_id}/stats/EXPORT", _lines())
    await office.work(Sent.Value(f"RIGHT_{right}"))
    assert await office.state(request_id) is State.FULFILLED
    return request_id


async def mailed(mailroom: Mailroom, *named: Identifier, right: Right = Right.ACCESS) -> str:
    """The secret of the link in the letter of a fresh package."""
    await fulfilled(mailroom.office, *named, right=right)
    await mailroom.post()
    found = _LINK.search(mailroom.said())
    assert found is not None
    return found[1]


def opened(office: Office, link: str) -> AsyncGenerator[bytes, None]:
    code, _, secret = link.partition(".")
    return office.links.read(office.codes.read(code), secret)


async def fetched(office: Office, link: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join([piece async for piece in opened(office, link)])))


async def torn(office: Office, link: str) -> None:
    """A download that breaks off after its first piece."""
    async with aclosing(opened(office, link)) as pieces:
        await anext(pieces)


async def refused(office: Office, link: str) -> DomainError:
    with pytest.raises(DomainError) as found:
        await fetched(office, link)
    return found.value


async def records(office: Office) -> list[AuditRecord]:
    made = [RecordMade.FromString(data) for data in await office.posted(RecordMade)]
    return [one for message in made for one in message.records if one.kind.startswith("package.")]


@pytest.mark.parametrize("right", [Right.ACCESS, Right.PORTABILITY])
async def test_the_letter_carries_a_link_that_opens_the_package_once(mailroom: Mailroom, right: Right) -> None:
    office = mailroom.office
    link = await mailed(mailroom, right=right)
    package = await fetched(office, link)
    assert package.testzip() is None
    assert len(package.read("stats/profiles.jsonl").splitlines()) == 40
    assert (await refused(office, link)).reason is Reason.PACKAGE_LINK_INVALID


async def test_every_fetch_is_on_record_without_the_link_or_the_person(mailroom: Mailroom) -> None:
    office = mailroom.office
    link = await mailed(mailroom)
    await torn(office, link)
    await fetched(office, link)
    await refused(office, link)
    found = await records(office)
    assert [one.kind for one in found] == ["package.fetched", "package.fetched", "package.link_used"]
    assert {one.payload_json for one in found} == {"{}"}


async def test_a_torn_download_can_be_repeated(mailroom: Mailroom) -> None:
    link = await mailed(mailroom)
    for _ in range(3):
        await torn(mailroom.office, link)
    assert (await fetched(mailroom.office, link)).testzip() is None


@pytest.mark.parametrize("destroyed_by", ["expiry", "erasure"])
async def test_a_package_that_is_destroyed_while_it_is_read_ends_in_an_error_and_not_as_a_smaller_one(
    mailroom: Mailroom, destroyed_by: str
) -> None:
    office = mailroom.office
    link = await mailed(mailroom)
    async with aclosing(opened(office, link)) as pieces:
        await anext(pieces)
        await _destroy(office, destroyed_by)
        with pytest.raises(DomainError) as torn_off:
            await _rest(pieces)
    assert torn_off.value.reason is Reason.EXPORT_EXPIRED
    assert [one.kind for one in await records(office)] == ["package.fetched"], "no download has ended"


async def test_a_search_of_stored_packages_goes_on_when_one_is_destroyed_under_it(mailroom: Mailroom) -> None:
    office = mailroom.office
    await fulfilled(office)
    found = []
    async for one in office.exports.stored():
        found.append(one.name.rpartition("/")[2])
        await _destroy(office, "expiry")
    assert set(found) == {"profiles"}, "what comes after them was destroyed before it was read"


async def _destroy(office: Office, destroyed_by: str) -> None:
    if destroyed_by == "expiry":
        office.clock.advance(timedelta(days=7))
        await office.exports.destroy_expired()
        return
    subjects = Subjects(DECLARATIONS, office.sealer)
    async with office.database.transaction() as connection:
        tokens = office.identifiers.tokens(normalised([EMAIL]))
        assert (await subjects.erase(connection, [Case("req_erasure", tokens)]))["req_erasure"].counts["export_parts"]


async def test_two_downloads_at_once_are_both_served_and_then_the_link_is_used_up(mailroom: Mailroom) -> None:
    office = mailroom.office
    link = await mailed(mailroom)
    async with aclosing(opened(office, link)) as one, aclosing(opened(office, link)) as other:
        begun = [await anext(one), await anext(other)]
        rests = await asyncio.gather(*(_rest(pieces) for pieces in (one, other)))
    for first, rest in zip(begun, rests, strict=True):
        assert zipfile.ZipFile(io.BytesIO(first + rest)).testzip() is None
    assert (await refused(office, link)).reason is Reason.PACKAGE_LINK_INVALID
    assert [one.kind for one in await records(office)].count("package.link_used") == 1


async def _rest(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_a_link_works_as_long_as_its_package_and_wrong_used_and_old_ones_are_refused_alike(
    mailroom: Mailroom,
) -> None:
    office = mailroom.office
    used, old = await mailed(mailroom), await mailed(mailroom, Identifier("EMAIL", ADA), USERNAME)
    await fetched(office, used)
    office.clock.advance(timedelta(days=7, seconds=-1))
    await torn(office, old)
    office.clock.advance(timedelta(seconds=1))
    code, _, secret = used.partition(".")
    wrong = (f"{code}.{'0' * 64}", f"{'0' * 52}.{secret}", "x")
    errors = [await refused(office, link) for link in (used, old, *wrong)]
    assert {(error.reason, tuple(error.metadata.items())) for error in errors} == {(Reason.PACKAGE_LINK_INVALID, ())}
    await office.exports.destroy_expired()
    assert await _links(office) == 0


async def test_only_a_digest_of_the_link_is_kept(mailroom: Mailroom) -> None:
    secret = (await mailed(mailroom)).partition(".")[2]
    async with mailroom.office.database.read() as connection:
        (row,) = (await connection.execute(select(package_links))).all()
    assert bytes(row.digest) == hashlib.sha256(secret.encode()).digest()
    assert len(bytes.fromhex(secret)) == 32


async def test_a_link_opens_no_other_request(mailroom: Mailroom) -> None:
    one, other = await mailed(mailroom), await mailed(mailroom, EMAIL, USERNAME)
    mixed = f"{one.partition('.')[0]}.{other.partition('.')[2]}"
    assert (await refused(mailroom.office, mixed)).reason is Reason.PACKAGE_LINK_INVALID
    for link in (one, other):
        assert (await fetched(mailroom.office, link)).testzip() is None


async def test_an_address_that_the_request_does_not_name_gets_no_link(mailroom: Mailroom) -> None:
    """Whoever talks a person into proving their profile for a stranger's request gains nothing."""
    await fulfilled(mailroom.office, USERNAME)
    (subject,) = [one for one in await mailroom.post() if "link" in one]
    assert subject.endswith("is done, but we cannot send you a link")
    assert "/privacy/packages/" not in mailroom.said()
    assert await _links(mailroom.office) == 0


async def test_an_address_that_the_request_names_by_its_hash_gets_the_link(mailroom: Mailroom) -> None:
    digest = hashlib.sha256(ADA.encode()).hexdigest()
    link = await mailed(mailroom, Identifier("EMAIL_SHA256", digest))
    assert (await fetched(mailroom.office, link)).testzip() is None


async def test_a_letter_that_comes_after_the_package_went_promises_nothing(mailroom: Mailroom) -> None:
    await fulfilled(mailroom.office)
    mailroom.office.clock.advance(timedelta(days=7))
    await mailroom.post()
    assert "/privacy/packages/" not in mailroom.said()


@pytest.fixture
def chosen(caught: Controller) -> dict[str, str]:
    return {"SMTP_URL": f"smtp://127.0.0.1:{caught.port}", "PUBLIC_URL": "https://stats.example"}


async def test_the_running_service_sends_the_link_and_gives_the_gateway_the_package_once(
    service: Service, caught: Controller
) -> None:
    named = pb.OpenRequestRequest(
        idempotency_key="web-form-0001",
        right=Sent.RIGHT_ACCESS,
        identifiers=[Named(kind=IdentifierKind.IDENTIFIER_KIND_EMAIL, value=ADA)],
        door="web",
        reply_address=ADA,
    )
    doors: Any = PrivacyServiceStub(service.channel("gateway"))
    made = (await doors.OpenRequest(named)).request
    await service.office.ConfirmIdentity(pb.ConfirmIdentityRequest(request_id=made.request_id, identity_proof="seen"))
    link = await asyncio.to_thread(caught.handler.links.get, timeout=60)
    for stub in (StatusServiceStub(service.channel("operator")), StatusServiceStub(service.channel("stats"))):
        assert await _answered(stub, link) is Reason.CALLER_NOT_ALLOWED
    answers = service.status.ReadPackage(_wanted(link))
    package = zipfile.ZipFile(io.BytesIO(b"".join([answer.chunk async for answer in answers])))
    (case,) = [json.loads(line) for line in package.read("privacy/requests.jsonl").splitlines()]
    assert case["request_id"] == made.request_id
    for gone in (link, f"{made.status_code}.{'0' * 64}", f"{'0' * 52}.{'0' * 64}"):
        assert await _answered(service.status, gone) is Reason.PACKAGE_LINK_INVALID


def _wanted(link: str) -> ReadPackageRequest:
    code, _, secret = link.partition(".")
    return ReadPackageRequest(status_code=code, link_secret=secret)


async def _answered(stub: Any, link: str) -> Reason:
    with pytest.raises(DomainError) as found:
        await anext(aiter(stub.ReadPackage(_wanted(link))))
    return found.value.reason


async def _links(office: Office) -> int:
    async with office.database.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(package_links)) or 0)
