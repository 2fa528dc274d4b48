"""Access packages: shares in, one ZIP out, nothing left when the time is over."""

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.model import Right, State
from igstats_privacy.shares import Piece
from igstats_privacy.tables import descriptions, export_parts, export_shares, exports, holders, tasks
from sqlalchemy import func, select, update

from tests.integration.privacy.conftest import ACCOUNT, Office


async def pieces(*given: Piece) -> AsyncIterator[Piece]:
    for piece in given:
        yield piece


async def exported(office: Office, *shares: Piece, holder: str = "stats") -> str:
    await office.register(holder)
    request_id: str = await office.accepted(Right.ACCESS)
    await office.shares.take_one(holder, f"{request_id}/{holder}/EXPORT", pieces(*shares))
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
    share = await office.shares.take_one("stats", task_id, pieces(Piece("profiles", b'{"a":1}\n', 1)))
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
        await office.shares.take_one("stats", task.format(request_id), pieces(Piece("a", b"{}\n", 1)))
    assert refused.value.reason is Reason.TASK_NOT_OWNED


async def messages(*given: Sequence[tuple[str, Piece]]) -> AsyncIterator[Sequence[tuple[str, Piece]]]:
    for message in given:
        yield message


def line(text: str) -> Piece:
    return Piece("notes", json.dumps({"text": text}).encode() + b"\n", 1)


NAMED = Piece("", b"", 0)


async def test_shares_of_several_requests_come_together_and_stay_apart(office: Office) -> None:
    await office.register("stats")
    requests = [await office.accepted(Right.ACCESS) for number in range(3)]
    ada, bob, nobody = (f"{request_id}/stats/EXPORT" for request_id in requests)
    stream = messages(
        [(ada, NAMED), (bob, NAMED), (nobody, NAMED)],
        [(ada, line("of ada")), (bob, line("of bob"))],
        [(bob, line("more of bob")), (ada, line("more of ada"))],
    )
    shares = await office.shares.take("stats", stream)
    assert {task: share.row_count for task, share in shares.items()} == {ada: 2, bob: 2, nobody: 0}
    assert shares[bob].digest == hashlib.sha256(line("of bob").lines + line("more of bob").lines).digest()
    await office.work(Sent.RIGHT_ACCESS)
    for request_id, who in zip(requests, ("ada", "bob"), strict=False):
        archive = zipfile.ZipFile(io.BytesIO(await read(office, request_id)))
        texts = [json.loads(row)["text"] for row in archive.read("stats/notes.jsonl").splitlines()]
        assert texts == [f"of {who}", f"more of {who}"]
    archive = zipfile.ZipFile(io.BytesIO(await read(office, requests[2])))
    assert [name for name in archive.namelist() if name.endswith(".jsonl")] == []


@pytest.mark.parametrize("task", ["{}/gateway/EXPORT", "{}/stats/ATTEST", "req_none/stats/EXPORT", "nonsense"])
async def test_of_shares_that_come_together_all_are_taken_or_none(office: Office, task: str) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted(Right.ACCESS)
    mine, strange = f"{request_id}/stats/EXPORT", task.format(request_id)
    for names in ([(mine, NAMED), (strange, NAMED)], [(mine, NAMED)]):
        with pytest.raises(DomainError) as refused:
            await office.shares.take("stats", messages(names, [(mine, line("a")), (strange, line("b"))]))
        assert refused.value.reason is Reason.TASK_NOT_OWNED
    with pytest.raises(DomainError) as refused:
        await office.shares.take("stats", messages())
    assert refused.value.reason is Reason.TASK_NOT_OWNED
    async with office.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(export_parts)) == 0


async def test_a_share_that_breaks_off_leaves_the_one_before(office: Office) -> None:
    request_id = await exported(office, line("whole"))
    task_id = f"{request_id}/stats/EXPORT"

    async def torn() -> AsyncIterator[Sequence[tuple[str, Piece]]]:
        yield [(task_id, NAMED)]
        yield [(task_id, line("half"))]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await office.shares.take("stats", torn())
    await office.work(Sent.RIGHT_ACCESS)
    archive = zipfile.ZipFile(io.BytesIO(await read(office, request_id)))
    assert archive.read("stats/notes.jsonl") == line("whole").lines


async def test_holders_that_send_at_the_same_time_do_not_wait_for_each_other(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted(Right.ACCESS)

    async def other(holder: str) -> None:
        await office.shares.take_one(holder, f"{request_id}/{holder}/EXPORT", pieces(line(holder)))

    async def slow() -> AsyncIterator[Piece]:
        yield line("stats")
        await other("gateway")  # comes and ends while the other share is under way
        yield line("more")

    await office.shares.take_one("stats", f"{request_id}/stats/EXPORT", slow())
    await office.work(Sent.RIGHT_ACCESS)
    names = zipfile.ZipFile(io.BytesIO(await read(office, request_id))).namelist()
    assert {"gateway/notes.jsonl", "stats/notes.jsonl"} <= set(names)


async def test_a_share_that_is_merely_late_is_taken(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted(Right.ACCESS)
    task = (tasks.c.request_id == request_id) & (tasks.c.phase == "EXPORT")
    for cause, taken in (("DISABLED", False), ("LATE", True)):
        async with office.database.transaction() as connection:
            await connection.execute(update(tasks).where(task).values(state="BLOCKED", cause=cause))
        sending = office.shares.take_one("stats", f"{request_id}/stats/EXPORT", pieces(line("late")))
        if taken:
            assert (await sending).row_count == 1
        else:
            with pytest.raises(DomainError):
                await sending


async def test_descriptions_are_kept_once_however_many_shares_come(office: Office) -> None:
    await office.register("gateway", "stats")
    for _ in range(3):
        request_id = await office.accepted(Right.ACCESS)
        for holder in ("gateway", "stats"):
            await office.shares.take_one(holder, f"{request_id}/{holder}/EXPORT", pieces(line(holder)))
    async with office.database.read() as connection:
        kept = set((await connection.execute(select(descriptions.c.description))).scalars())
        announced = set((await connection.execute(select(holders.c.description))).scalars())
        assert kept == announced
        assert await connection.scalar(select(func.count()).select_from(descriptions)) == 2
        written = await connection.execute(select(export_shares.c.description_digest, export_shares.c.description))
        assert {(len(row.description_digest), row.description) for row in written} == {(32, None)}


async def test_a_share_that_a_release_before_described_by_itself_is_read_as_it_says(office: Office) -> None:
    request_id = await exported(office, line("old"))
    async with office.database.transaction() as connection:
        await connection.execute(update(export_shares).values(description_digest=None, description=b"as then"))
    await office.work(Sent.RIGHT_ACCESS)
    assert (await office.exports.contents(request_id, ACCOUNT)).descriptions == {"stats": b"as then"}


async def test_no_copy_is_taken_while_the_same_person_is_being_erased(office: Office) -> None:
    await office.register("stats")
    access, erasure = await office.accepted(Right.ACCESS), await office.accepted()
    with pytest.raises(DomainError) as refused:
        await office.shares.take_one("stats", f"{access}/stats/EXPORT", pieces(Piece("a", b"{}\n", 1)))
    assert refused.value.reason is Reason.SUBJECT_ERASED
    await office.offered()
    for phase in ("FENCE", "ERASE", "SWEEP", "ATTEST"):
        await office.consumer.handle([office.holders["stats"].issue([f"{erasure}/stats/{phase}"])])
    assert await office.state(erasure) is State.SETTLING
    await office.shares.take_one("stats", f"{access}/stats/EXPORT", pieces(Piece("a", b"{}\n", 1)))


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
