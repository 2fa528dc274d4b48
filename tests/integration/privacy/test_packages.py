"""Packages as a person gets them: every store of every holder, two persons side by side, every byte looked at."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime
from typing import Any

import pytest
from igstats.holder.v1.holder_tasks_service_pb2 import RegisterHolderRequest
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_audit.tables import DECLARATIONS as AUDIT
from igstats_gateway.declarations import DECLARATIONS as GATEWAY
from igstats_kit.declare import Declarations
from igstats_kit.describe import describe
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.testing.canaries import Canary, exported
from igstats_privacy import messages
from igstats_privacy.model import Right, State
from igstats_privacy.packages import described
from igstats_privacy.shares import Piece
from igstats_stats.tables import DECLARATIONS as STATS
from jsonschema import Draft202012Validator, FormatChecker

from tests.integration.privacy.conftest import ACCOUNT, FakeHolder, Office

HOLDERS = {"audit": AUDIT, "gateway": GATEWAY, "stats": STATS}
ADA, BOB = Canary("ada", 1, (b"a" * 32, b"A" * 32)), Canary("bob", 2, (b"b" * 32, b"B" * 32))
_FORMATS = FormatChecker(())
_FORMATS.checks("date", ValueError)(lambda said: said is None or bool(date.fromisoformat(said)))
_FORMATS.checks("date-time", ValueError)(lambda said: said is None or datetime.fromisoformat(said).tzinfo is not None)

Files = dict[str, bytes]
MakeDatabase = Callable[[str], Awaitable[Database]]


class Desk:
    """The office, with holders that describe themselves and send what they hold of Ada; Bob is there, too."""

    def __init__(self, office: Office, database: MakeDatabase) -> None:
        self.office = office
        self._database = database

    async def register(self, holder: str, declarations: Declarations) -> None:
        made = self.office.holders.setdefault(holder, FakeHolder(holder, self.office.clock))
        description = describe(holder, declarations)
        message = RegisterHolderRequest(description=description, public_key=made.signer.public_key)
        await self.office.registry.register(*messages.announced(message, self.office.clock.now()))

    async def package(self, right: Right) -> Files:
        """Ada's package, carried out and read."""
        for holder, declarations in HOLDERS.items():
            await self.register(holder, declarations)
        request_id = await self.office.accepted(right)
        for holder, declarations in HOLDERS.items():
            share = self._share(await self._seeded(holder, declarations), declarations, right)
            await self.office.shares.take_one(holder, f"{request_id}/{holder}/EXPORT", share)
        await self.office.work(Sent.Value(f"RIGHT_{right}"))
        assert await self.office.state(request_id) is State.FULFILLED
        whole = b"".join([piece async for piece in self.office.packages.read(request_id, ACCOUNT)])
        archive = zipfile.ZipFile(io.BytesIO(whole))
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}

    async def _seeded(self, holder: str, declarations: Declarations) -> Database:
        database = await self._database(holder)
        async with database.transaction() as connection:
            for person in (ADA, BOB):
                await person.seed(connection, declarations)
        return database

    async def _share(self, database: Database, declarations: Declarations, right: Right) -> AsyncIterator[Piece]:
        subjects = Subjects(declarations, Sealer(b"s" * 32))
        async with database.transaction() as connection:
            portable = right is Right.PORTABILITY
            async for line in subjects.export(connection, [Case("req_1", tuple(ADA.tokens))], portable=portable):
                yield Piece(line.store, line.content, 1)


@pytest.fixture
def desk(office: Office, database: MakeDatabase) -> Desk:
    return Desk(office, database)


def rows(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def datasets(files: Files) -> list[str]:
    return [name.removesuffix(".jsonl") for name in files if name.endswith(".jsonl")]


def schema_of(files: Files, path: str) -> Draft202012Validator:
    found = json.loads(files[f"schemas/{path}.schema.json"])
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found, format_checker=_FORMATS)


def cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("right", [Right.ACCESS, Right.PORTABILITY])
async def test_every_row_fits_its_schema_every_sheet_its_rows_and_every_hash_its_file(desk: Desk, right: Right) -> None:
    files = await desk.package(right)
    for path in datasets(files):
        for row in rows(files[f"{path}.jsonl"]):
            schema_of(files, path).validate(row)
    for path in set(datasets(files)) - {"data-transfer-project/social-posts"}:
        found = list(csv.DictReader(io.StringIO(files[f"{path}.csv"].decode(), newline="")))
        expected = [{name: cell(value) for name, value in row.items()} for row in rows(files[f"{path}.jsonl"])]
        assert found == expected
    manifest = json.loads(files.pop("manifest.json"))
    assert (manifest["schema"], manifest["right"]) == ("igstats/export/v2", right)
    assert {file["name"]: (file["bytes"], file["sha256"]) for file in manifest["files"]} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()
    }


async def test_an_access_package_holds_all_that_may_be_shown_no_secret_and_nobody_else(desk: Desk) -> None:
    whole = b"\n".join((await desk.package(Right.ACCESS)).values()).decode()
    assert "canary-bob" not in whole
    for declarations in HOLDERS.values():
        assert [canary for canary in exported(declarations, ADA) if canary not in whole] == []
        assert [canary for canary in exported(declarations, ADA, hidden=True) if canary in whole] == []


async def test_a_portability_package_leaves_derived_data_and_takes_posts_to_other_services(desk: Desk) -> None:
    files = await desk.package(Right.PORTABILITY)
    (post,) = rows(files["data-transfer-project/social-posts.jsonl"])
    (media,) = rows(files["stats/media.jsonl"])
    (profile,) = rows(files["stats/profiles.jsonl"])
    assert post["activity"]["content"] == media["caption"]
    assert post["metadata"]["actor"]["id"] == profile["instagram_user_id"]
    assert "slices" not in files.get("stats/audience_slices.csv", b"").decode()
    assert b"Who works for us" not in files["index.html"]


async def test_the_page_names_every_store_and_comes_first(desk: Desk) -> None:
    files = await desk.package(Right.ACCESS)
    assert next(iter(files)) == "index.html"
    text = files["index.html"].decode()
    for path in datasets(files):
        assert f'href="{path}.jsonl"' in text
    assert "<script" not in text


async def test_a_package_is_described_as_its_holder_described_it_when_it_was_sent(desk: Desk) -> None:
    office = desk.office
    await desk.register("stats", STATS)
    request_id = await office.accepted(Right.ACCESS)

    async def share() -> AsyncIterator[Piece]:
        yield Piece("profile_samples", b'{"followers_count":1}\n', 1)

    await office.shares.take_one("stats", f"{request_id}/stats/EXPORT", share())
    await office.register("stats")  # as a release would that stores nothing any more
    await office.work(Sent.RIGHT_ACCESS)
    contents = await office.exports.contents(request_id, ACCOUNT)
    (heap,) = contents.heaps
    made = described.dataset(contents.descriptions["stats"], "stats", heap.store, Right.ACCESS)
    assert "followers_count" in {field.name for field in made.fields}
