"""Deletions while everything around them breaks: nothing lost, nothing resurrected, no success without effect."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from igstats.event.v1.events_pb2 import ReceiptsIssued
from igstats_dev.crowd import Somebody
from igstats_kit.errors import DomainError
from igstats_kit.fence import admit
from sqlalchemy import text

from tests.e2e.conftest import HOLDERS, World, assert_proved, eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(400)]

SERVICES = ("audit", "gateway", "privacy", "stats")


async def _prove(world: World, requests: Sequence[str], people: Sequence[Somebody]) -> None:
    for request in await world.until_closed(requests):
        assert_proved(request)
    await world.settle_down()
    assert await world.rows_of(people) == 0
    assert await world.nothing_is_parked()


@pytest.mark.parametrize("phase", ["FENCE", "ERASE", "SWEEP", "ATTEST"])
async def test_every_service_killed_in_a_phase_delays_and_loses_nothing(world: World, phase: str) -> None:
    await world.settle_down()
    people = await world.crowd.make(25)
    requests = list(await asyncio.gather(*map(world.delete, people)))
    await world.until_phase(requests, phase)
    for service in SERVICES:
        await world.stack.parts[service].kill()
    await _prove(world, requests, people)


async def test_services_killed_one_by_one_at_random_lose_nothing(world: World) -> None:
    await world.settle_down()
    dice = random.Random(20261123)  # noqa: S311 - a repeatable order of kills
    people = await world.crowd.make(30)
    requests = []
    for number, person in enumerate(people):
        requests.append(await world.delete(person))
        if number % 6 == 5:
            await world.stack.parts[dice.choice(SERVICES)].kill()
    await _prove(world, requests, people)


async def test_a_holder_that_is_down_holds_the_request_open_and_then_does_its_part(world: World) -> None:
    await world.settle_down()
    (person,) = await world.crowd.make(1)
    gateway = world.stack.parts["gateway"]
    await gateway.stop()
    request_id = await world.delete(person)

    async def others_have_fenced() -> bool:
        tasks = (await world.request(request_id)).tasks
        return {task.holder for task in tasks if task.phase == 1 and task.state == 4} == {"audit", "privacy", "stats"}

    await eventually(others_have_fenced, "the other holders have fenced")
    assert (await world.request(request_id)).closed_time.seconds == 0
    assert await world.rows_of([person]) > 0
    await gateway.start()
    await _prove(world, [request_id], [person])


async def test_servers_restarted_in_mid_flight_lose_nothing(world: World) -> None:
    await world.settle_down()
    people = await world.crowd.make(25)
    requests = list(await asyncio.gather(*map(world.delete, people)))
    await world.until_phase(requests, "FENCE")
    await world.stack.parts["nats"].kill()
    await world.stack.parts["postgres"].kill()
    await world.stack.parts["postgres"].ready()
    await world.stack.parts["nats"].ready()
    await _prove(world, requests, people)


async def test_repeated_and_reordered_messages_change_nothing(world: World) -> None:
    await world.settle_down()
    people = await world.crowd.make(5)
    requests = list(await asyncio.gather(*map(world.delete, people)))
    await _prove(world, requests, people)
    before = [await world.request(request_id) for request_id in requests]
    assert await world.replay("RECEIPTS", "again") > 0
    assert await world.replay("TASKS", "again") > 0
    await world.settle_down()
    await _prove(world, requests, people)
    assert [await world.request(request_id) for request_id in requests] == before
    async with world.database("audit").read() as connection:
        receipts = text(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM evidence_entries WHERE kind = 'receipt.issued'"
            " GROUP BY request_id) AS found"
        )
        assert await connection.scalar(receipts) <= 4 * len(HOLDERS)


async def test_a_second_deletion_of_the_same_person_ends_well(world: World) -> None:
    await world.settle_down()
    (person,) = await world.crowd.make(1)
    requests = [await world.delete(person), await world.delete(person, key="second")]
    assert requests[0] != requests[1]
    await _prove(world, requests, [person])


async def test_the_same_key_opens_the_same_request(world: World) -> None:
    await world.settle_down()
    (person,) = await world.crowd.make(1)
    requests = [await world.delete(person), await world.delete(person)]
    assert requests[0] == requests[1]
    await _prove(world, requests[:1], [person])


async def test_an_erased_person_is_refused_at_every_holder(world: World) -> None:
    await world.settle_down()
    (person,) = await world.crowd.make(1)
    await _prove(world, [await world.delete(person)], [person])
    token = world.crowd.tokens.of("INSTAGRAM_USER_ID", person.instagram_user_id)
    for service in SERVICES:
        with pytest.raises(DomainError, match="SUBJECT_ERASED"):
            async with world.database(service).transaction() as connection:
                await admit(connection, [token])


async def test_every_receipt_of_every_request_stands_in_the_evidence_log(world: World) -> None:
    await world.settle_down()
    (person,) = await world.crowd.make(1)
    request_id = await world.delete(person)
    await _prove(world, [request_id], [person])

    async def all_there() -> bool:
        async with world.database("audit").read() as connection:
            kinds = text("SELECT kind, count(*) AS entries FROM evidence_entries WHERE request_id = :id GROUP BY kind")
            found = {row.kind: row.entries for row in await connection.execute(kinds, {"id": request_id})}
        return found == {"receipt.issued": 16, "request.closed": 1}

    await eventually(all_there, "16 receipts and the closing entry are in the log")


def test_a_receipt_event_has_no_room_for_personal_values() -> None:
    assert {field.name for field in ReceiptsIssued.DESCRIPTOR.fields} == {"receipts"}
