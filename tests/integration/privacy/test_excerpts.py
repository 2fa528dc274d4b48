"""What GDPR 18(2) leaves open of a restricted person's data: by a named ground, on record, and in no other way."""

import io
import json
import zipfile
from collections.abc import AsyncIterator

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_kit.tables import restrictions
from igstats_privacy.model import Identifier, State
from igstats_privacy.packages.excerpts import Excerpts
from igstats_privacy.shares import Piece
from sqlalchemy import insert

from tests.integration.privacy.conftest import ACCOUNT, Office

ADA = Identifier("INSTAGRAM_USER_ID", "17841400000000001")
WHY = "case 12 of 2026"


@pytest.fixture
async def excerpts(office: Office) -> Excerpts:
    """Ada has restricted processing."""
    await office.register("stats")
    async with office.database.transaction() as connection:
        row = {"token": office.tokens.of(ADA.kind, ADA.value), "request_id": "req_0"}
        await connection.execute(insert(restrictions), row)
    return Excerpts(
        office.database,
        office.requests,
        office.drafts,
        office.exports,
        office.packages,
        office.identifiers,
        office.officer_ids,
        office.clock,
    )


async def opened(office: Office, excerpts: Excerpts, ground: str = "LEGAL_CLAIMS") -> str:
    shown = await excerpts.open([ADA], ground, WHY, "key-of-case-12", "ada")
    await office.triage.run_once()
    request_id: str = shown.request.request_id
    return request_id


async def carried_out(office: Office, request_id: str) -> None:
    async def share() -> AsyncIterator[Piece]:
        yield Piece("profiles", b'{"username":"ada"}\n', 1)

    await office.shares.take_one("stats", f"{request_id}/stats/EXPORT", share())
    await office.work(Sent.RIGHT_ACCESS)
    assert await office.state(request_id) is State.FULFILLED


async def recorded(office: Office) -> list[tuple[str, dict[str, str]]]:
    found = [RecordMade.FromString(data) for data in await office.posted(RecordMade)]
    kept = [(one.kind, json.loads(one.payload_json)) for message in found for one in message.records]
    return [one for one in kept if one[0].startswith("excerpt.")]


async def read(excerpts: Excerpts, request_id: str) -> bytes:
    return b"".join([piece async for piece in excerpts.read(request_id, "grace")])


@pytest.mark.parametrize("ground", ["CONSENT", "LEGAL_CLAIMS", "OTHERS_RIGHTS", "PUBLIC_INTEREST"])
async def test_an_excerpt_names_its_ground_and_every_reading_is_on_record(
    office: Office, excerpts: Excerpts, ground: str
) -> None:
    request_id = await opened(office, excerpts, ground)
    await carried_out(office, request_id)
    archive = zipfile.ZipFile(io.BytesIO(await read(excerpts, request_id)))
    assert archive.read("stats/profiles.jsonl") == b'{"username":"ada"}\n'
    assert await recorded(office) == [
        ("excerpt.opened", {"ground": ground, "officer": office.officer_ids.of("ada")}),
        ("excerpt.read", {"officer": office.officer_ids.of("grace")}),
    ]
    assert (await office.show(request_id)).request.identity_proof == f"{ground}: {WHY}"


async def test_repeating_the_call_opens_one_excerpt_with_one_record(office: Office, excerpts: Excerpts) -> None:
    assert await opened(office, excerpts) == await opened(office, excerpts)
    assert len(await recorded(office)) == 1


async def test_there_is_no_excerpt_about_who_has_not_restricted_processing(office: Office, excerpts: Excerpts) -> None:
    with pytest.raises(DomainError) as refused:
        await excerpts.open([Identifier("USERNAME", "bob")], "CONSENT", WHY, "key-of-case-13", "operator")
    assert refused.value.reason is Reason.FIELD_INVALID
    assert await recorded(office) == []


async def test_what_is_no_excerpt_is_read_by_its_account_and_an_excerpt_by_no_account(
    office: Office, excerpts: Excerpts
) -> None:
    for request_id, wrong in (
        (await opened(office, excerpts), lambda name: office.exports.contents(name, ACCOUNT)),
        (await opened(office, excerpts), lambda name: office.exports.contents(name, "")),
        (await office.accepted(), office.exports.excerpt),
        (await office.open(), office.exports.excerpt),
    ):
        with pytest.raises(DomainError) as refused:
            await wrong(request_id)
        assert refused.value.reason is Reason.REQUEST_NOT_FOUND


async def test_an_excerpt_that_is_not_ready_is_not_on_record_as_read(office: Office, excerpts: Excerpts) -> None:
    request_id = await opened(office, excerpts)
    with pytest.raises(DomainError) as refused:
        await read(excerpts, request_id)
    assert refused.value.reason is Reason.EXPORT_NOT_READY
    assert [kind for kind, _ in await recorded(office)] == ["excerpt.opened"]
