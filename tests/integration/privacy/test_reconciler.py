"""What was lost is offered again, and what stands still becomes visible."""

import asyncio
from datetime import timedelta

from igstats_privacy import store
from igstats_privacy.model import Cause, Phase, State, TaskState
from sqlalchemy import text

from tests.integration.privacy.conftest import Office

_WAITS_FOR_A_LOCK = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_a_lost_offer_is_repeated_after_a_minute_then_ever_more_slowly(office: Office) -> None:
    await office.register("stats")
    task_id = f"{await office.accepted()}/stats/FENCE"
    assert await office.offered() == {"stats": [task_id]}
    waits = []
    for seconds in range(0, 900, 30):
        if await office.reconciler.offer_again():
            assert await office.offered() == {"stats": [task_id]}
            waits.append(seconds)
        office.clock.advance(timedelta(seconds=30))
    assert waits == [60, 180, 420]


async def test_a_settled_task_is_not_offered_again(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    await office.consumer.handle([office.holders["stats"].issue([f"{request_id}/stats/FENCE"])])
    await office.offered()
    office.clock.advance(timedelta(hours=2))
    await office.reconciler.offer_again()
    assert list(await office.offered()) == ["gateway"]


async def test_a_task_that_was_leased_and_never_settled_is_offered_again(office: Office) -> None:
    await office.register("stats")
    task_id = f"{await office.accepted()}/stats/FENCE"
    await office.leases.lease("stats", [task_id])
    await office.offered()
    office.clock.advance(timedelta(minutes=2))
    assert await office.reconciler.offer_again() == 1
    (lease,) = await office.leases.lease("stats", (await office.offered())["stats"])
    assert lease.attempt == 2


async def test_a_busy_holder_is_not_offered_again_what_still_waits_in_its_queue(office: Office) -> None:
    await office.register("stats")
    first = f"{await office.accepted()}/stats/FENCE"
    office.clock.advance(timedelta(seconds=5))
    second = f"{await office.accepted()}/stats/FENCE"
    office.clock.advance(timedelta(seconds=70))
    await office.leases.lease("stats", [first])
    await office.offered()
    await office.reconciler.offer_again()
    assert await office.offered() == {"stats": [first]}
    office.clock.advance(timedelta(seconds=61))
    await office.reconciler.offer_again()
    assert await office.offered() == {"stats": [second]}


async def test_a_task_not_settled_in_a_day_needs_a_person_and_is_still_offered(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    task_id = f"{request_id}/stats/FENCE"
    office.clock.advance(timedelta(hours=25))
    await office.reconciler.sweep()
    task = await office.task(request_id, "stats", Phase.FENCE)
    assert (task.state, task.cause) == (TaskState.BLOCKED, Cause.LATE)
    assert (await office.show(request_id)).request.blocked
    office.clock.advance(timedelta(hours=2))
    await office.offered()
    await office.reconciler.sweep()
    (offer,) = (await office.offered())["stats"]
    assert [str(lease.task) for lease in await office.leases.lease("stats", [offer])] == [task_id]
    await office.consumer.handle([office.holders["stats"].issue([task_id])])
    shown = await office.show(request_id)
    assert (shown.request.state, shown.request.blocked) == (State.EXECUTING, False)


async def test_a_sweep_with_nothing_to_do_writes_nothing(office: Office) -> None:
    await office.register("stats")
    await office.accepted()
    before = await office.waiting_facts()
    await office.reconciler.sweep()
    assert await office.waiting_facts() == before


async def test_marking_what_is_overdue_takes_requests_in_the_order_that_everybody_keeps(office: Office) -> None:
    first, second = sorted([await office.open(), await office.open()])
    async with office.database.transaction() as connection:  # in the table, the second one comes first now
        await connection.execute(text("UPDATE requests SET effective_at = now() WHERE request_id = :id"), {"id": first})

    async def mark() -> list[str]:
        async with office.database.transaction() as connection:
            await connection.execute(text("SET LOCAL enable_indexscan = off"))  # in the order of the table
            return await store.mark_overdue(connection, office.clock.now() + timedelta(days=60))

    async with office.database.transaction() as connection:
        await store.lock(connection, [first])
        marking = asyncio.create_task(mark())
        while not await _somebody_waits(office):
            assert not marking.done()
        await store.lock(connection, [second])
    assert sorted(await marking) == [first, second]


async def _somebody_waits(office: Office) -> bool:
    async with office.database.read() as connection:
        return bool(await connection.scalar(_WAITS_FOR_A_LOCK))
