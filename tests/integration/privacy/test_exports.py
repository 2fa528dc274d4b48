"""Access packages: shares in, one ZIP out, nothing left when the time is over."""

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.exports import Piece
from igstats_privacy.model import Right, State
from igstats_privacy.tables import export_parts, exports
from sqlalchemy import func, select

from tests.integration.privacy.conftest import ACCOUNT, Office


async def pieces(*given: Piece) -> AsyncIterator[Piece]:
    for piece in given:
        yield piece


async def exported(office: Office, *shares: Piece, holder: str = "stats") -> str:
    await office.register(holder)
    request_id: str = await office.accepted(Right.ACCESS)
    await office.exports.receive(holder, f"{request_id}/{holder}/EXPORT", pieces(*shares))
    return request_id


async def read(office: Office, request_id: str, account_id: str = ACCOUNT) -> bytes:
    return b"".join([piece async for piece in office.packages.read(request_id, account_id)])


async def reason(office: Office, request_id: str, account_id: str = ACCOUNT) -> Reason:
    with pytest.raises(DomainError) as refused:
        await read(office, request_id, account_id)
    return refused.value.reason


async def test_the_package_is_a_zip_with_a_file_per_store_and_a_manifest_that_fits(office: Office) -> None:
    first = Piece("profiles", b'{"username":"ada"}\n', 1)
    media = [Piece("media", b'{"id":%d}\n' % number, 1) for number in range(40)]
    request_id = await exported(office, first, *media)
    await office.work(Sent.RIGHT_ACCESS)
    assert await office.state(request_id) is State.FULFILLED
    archive = zipfile.ZipFile(io.BytesIO(await read(office, request_id)))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["schema"] == "igstats/export/v2"
    assert {file["name"] for file in manifest["files"]} == {
        "index.html",
        *("stats/profiles.jsonl", "schemas/stats/profiles.schema.json"),
        *("stats/media.jsonl", "schemas/stats/media.schema.json"),
    }
    assert len(archive.read("stats/media.jsonl").splitlines()) == 40
    for file in manifest["files"]:
        content = archive.read(file["name"])
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["bytes"]


async def test_a_share_answers_its_digest_and_replaces_the_one_before(office: Office) -> None:
    request_id = await exported(office, Piece("profiles", b"{}\n", 1), Piece("media", b"{}\n", 1))
    task_id = f"{request_id}/stats/EXPORT"
    share = await office.exports.receive("stats", task_id, pieces(Piece("profiles", b'{"a":1}\n', 1)))
    assert (share.digest, share.row_count) == (hashlib.sha256(b'{"a":1}\n').digest(), 1)
    await office.work(Sent.RIGHT_ACCESS)
    archive = zipfile.ZipFile(io.BytesIO(await read(office, request_id)))
    assert [name for name in archive.namelist() if name.endswith(".jsonl")] == ["stats/profiles.jsonl"]


async def test_a_share_is_sealed_where_it_is_stored(office: Office) -> None:
    await exported(office, Piece("profiles", b'{"username":"ada"}\n', 1))
    async with office.database.read() as connection:
        stored = await connection.scalar(select(export_parts.c.sealed))
    assert stored
    assert b"ada" not in stored


async def test_a_package_is_read_by_its_account_when_the_request_is_fulfilled(office: Office) -> None:
    request_id = await exported(office, Piece("profiles", b"{}\n", 1))
    assert await reason(office, request_id) is Reason.EXPORT_NOT_READY
    await office.work(Sent.RIGHT_ACCESS)
    assert await reason(office, request_id, "acc_other") is Reason.REQUEST_NOT_FOUND
    assert await reason(office, await office.open()) is Reason.REQUEST_NOT_FOUND


async def test_a_package_expires_and_is_destroyed(office: Office) -> None:
    request_id = await exported(office, Piece("profiles", b"{}\n", 1))
    await office.work(Sent.RIGHT_ACCESS)
    office.clock.advance(timedelta(days=7))
    assert await reason(office, request_id) is Reason.EXPORT_EXPIRED
    await office.reconciler.sweep()
    assert await reason(office, request_id) is Reason.EXPORT_EXPIRED
    async with office.database.read() as connection:
        for table in (exports, export_parts):
            assert await connection.scalar(select(func.count()).select_from(table)) == 0


async def test_a_package_with_a_share_destroyed_meanwhile_is_not_given_in_part(office: Office) -> None:
    await office.register("gateway")
    request_id = await exported(office, Piece("profiles", b"{}\n", 1))
    await office.work(Sent.RIGHT_ACCESS)
    assert await office.state(request_id) is State.FULFILLED
    assert await reason(office, request_id) is Reason.EXPORT_EXPIRED


@pytest.mark.parametrize("task", ["{}/gateway/EXPORT", "{}/stats/ATTEST", "req_none/stats/EXPORT", "nonsense"])
async def test_a_share_for_a_task_that_is_not_the_holders_or_not_offered_is_refused(office: Office, task: str) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted(Right.ACCESS)
    with pytest.raises(DomainError) as refused:
        await office.exports.receive("stats", task.format(request_id), pieces(Piece("a", b"{}\n", 1)))
    assert refused.value.reason is Reason.TASK_NOT_OWNED


async def test_no_copy_is_taken_while_the_same_person_is_being_erased(office: Office) -> None:
    await office.register("stats")
    access, erasure = await office.accepted(Right.ACCESS), await office.accepted()
    with pytest.raises(DomainError) as refused:
        await office.exports.receive("stats", f"{access}/stats/EXPORT", pieces(Piece("a", b"{}\n", 1)))
    assert refused.value.reason is Reason.SUBJECT_ERASED
    await office.offered()
    for phase in ("FENCE", "ERASE", "SWEEP", "ATTEST"):
        await office.consumer.handle([office.holders["stats"].issue([f"{erasure}/stats/{phase}"])])
    assert await office.state(erasure) is State.SETTLING
    await office.exports.receive("stats", f"{access}/stats/EXPORT", pieces(Piece("a", b"{}\n", 1)))


async def test_the_deep_sweep_sees_every_stored_share_opened_and_nothing_of_expired_ones(office: Office) -> None:
    request_id = await exported(office, Piece("profiles", b'{"username":"ada"}\n', 1), Piece("media", b'{"id":1}\n', 1))
    found = [one async for one in office.exports.stored()]
    assert {one.name: one.content for one in found} == {
        f"{request_id}/stats/profiles": b'{"username":"ada"}\n',
        f"{request_id}/stats/media": b'{"id":1}\n',
    }
    assert {one.created_at for one in found} == {office.clock.now()}
    office.clock.advance(timedelta(days=8))
    await office.exports.destroy_expired()
    assert [one async for one in office.exports.stored()] == []
