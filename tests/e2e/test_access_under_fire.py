"""Access requests while everything around them breaks: exactly one package, whole, and nobody else's data in it."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.request_pb2 import RequestState
from igstats_dev.crowd import HELD_BY, ROWS_A_PERSON, Somebody
from sqlalchemy import text

from tests.e2e.conftest import HOLDERS, World, eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(400)]

_HELD_UP = text("LOCK TABLE descriptions IN SHARE MODE")
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO export_parts%'"
)


async def _ask(world: World, people: Sequence[Somebody]) -> list[str]:
    asking = (world.ask(person, Right.RIGHT_ACCESS, account_id=person.account_id) for person in people)
    return list(await asyncio.gather(*asking))


async def _package(world: World, person: Somebody, request_id: str) -> dict[str, list[dict[str, object]]]:
    """The rows of a package by file."""
    archive = zipfile.ZipFile(io.BytesIO(await world.package(person, request_id)))
    assert archive.testzip() is None
    return {
        name: [json.loads(line) for line in archive.read(name).splitlines()]
        for name in archive.namelist()
        if name.endswith(".jsonl")
    }


async def _prove(world: World, requests: Sequence[str], people: Sequence[Somebody]) -> None:
    """Each request ended well, each package has every row of its person once and none of the others."""
    everybody = {name for person in people for name in (person.account_id, person.instagram_user_id)}
    for request, person in zip(await world.until_closed(requests), people, strict=True):
        assert RequestState.Name(request.state) == "REQUEST_STATE_FULFILLED"
        assert {(task.holder, task.phase) for task in request.tasks if task.state == 4} == {
            (holder, phase) for holder in HOLDERS for phase in (4, 5)
        }
        files = await _package(world, person, request.request_id)
        held = {f"{holder}/{table.name}.jsonl" for holder, tables in HELD_BY.items() for table in tables}
        rows = [json.dumps(row, sort_keys=True) for name in held for row in files[name]]
        assert len(rows) == ROWS_A_PERSON
        counted = {
            f"{task.holder}/{count.store}.jsonl": count.count
            for task in request.tasks
            if task.phase == 5
            for count in task.counts
        }
        assert {name: len(found) for name, found in files.items()} == counted
        whole = "\n".join(rows)
        assert person.account_id in whole
        assert person.instagram_user_id in whole
        assert not [name for name in everybody - {person.account_id, person.instagram_user_id} if name in whole]
    await world.settle_down()
    assert await world.nothing_is_parked()


@asynccontextmanager
async def _in_mid_upload(world: World) -> AsyncIterator[None]:
    """While every holder has sent a share and privacy is about to write the end of it."""
    async with world.database("privacy").transaction() as connection:
        await connection.execute(_HELD_UP)

        async def all_wait() -> bool:
            async with world.database("privacy").read() as looking:
                return bool(await looking.scalar(_WAITING) == len(HOLDERS))

        await eventually(all_wait, "each holder is in the middle of an upload")
        yield


@pytest.mark.parametrize("victim", ["stats", "gateway", "audit", "privacy"])
async def test_a_service_killed_in_mid_upload_delays_the_packages_and_tears_none(world: World, victim: str) -> None:
    await world.settle_down()
    people = await world.crowd.make(25)
    asking = asyncio.create_task(_ask(world, people))
    async with _in_mid_upload(world):
        await world.stack.parts[victim].kill()
    await _prove(world, await asking, people)


async def test_offers_that_come_twice_and_again_later_make_no_second_share_and_change_no_package(world: World) -> None:
    await world.settle_down()
    people = await world.crowd.make(10)
    requests = await _ask(world, people)
    await world.until_phase(requests, "EXPORT")
    assert await world.replay("TASKS", "at-once") > 0
    await _prove(world, requests, people)
    before = [await world.package(person, one) for person, one in zip(people, requests, strict=True)]
    assert await world.replay("TASKS", "later") > 0
    assert await world.replay("RECEIPTS", "later") > 0
    await _prove(world, requests, people)
    assert [await world.package(person, one) for person, one in zip(people, requests, strict=True)] == before


async def test_of_a_person_who_is_erased_no_package_is_left(world: World) -> None:
    await world.settle_down()
    people = await world.crowd.make(2)
    requests = await _ask(world, people)
    await _prove(world, requests, people)
    await world.until_closed([await world.delete(people[0])])
    with pytest.raises(grpc.aio.AioRpcError, match="expired and was destroyed"):
        await world.package(people[0], requests[0])
    await _prove(world, requests[1:], people[1:])
    async with world.database("privacy").read() as connection:
        kept = text("SELECT DISTINCT request_id FROM export_parts WHERE request_id = ANY(:ids)")
        assert list((await connection.execute(kept, {"ids": requests})).scalars()) == requests[1:]
