"""Leases: a person's identifiers are handed out once a request, and asked for again whenever there is a doubt."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from igstats.event.v1.events_pb2 import TasksOffered
from igstats.holder.v1.holder_tasks_service_pb2 import LeaseTasksRequest, LeaseTasksResponse
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Phase, Task
from igstats_kit import leases
from igstats_kit.clock import Clock
from igstats_kit.events import Event
from igstats_kit.leases import Leases
from igstats_kit.testing.clock import FakeClock

if TYPE_CHECKING:
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub


class Privacy:
    """Hands out every task that is asked for, and remembers which were."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def lease(self, request: LeaseTasksRequest) -> LeaseTasksResponse:
        self.asked += request.task_ids
        return LeaseTasksResponse(tasks=[_task(task_id) for task_id in request.task_ids])

    @property
    def leases(self) -> Leases:
        return self.leases_on(FakeClock())

    def leases_on(self, clock: Clock) -> Leases:
        return Leases("stats", cast("HolderTasksServiceAsyncStub", SimpleNamespace(LeaseTasks=self.lease)), clock)


class WatchedClock(FakeClock):
    """Says when it has been looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = asyncio.Event()

    def now(self) -> datetime:
        self.looked.set()
        return super().now()


def _task(task_id: str) -> Task:
    request_id, holder, phase = task_id.split("/")
    person = Identifier(kind=IdentifierKind.IDENTIFIER_KIND_USERNAME, value=f"person of {request_id}")
    return Task(
        task_id=task_id,
        request_id=request_id,
        holder=holder,
        phase=Phase.Value(f"PHASE_{phase}"),
        identifiers=[person],
        tokens=[request_id.encode()],
        attempt=7,
    )


def _offered(task_ids: Sequence[str], attempts: int = 1) -> Event:
    data = TasksOffered(holder="stats", task_ids=task_ids).SerializeToString()
    return Event("event", "subject", "type", datetime.now(UTC), data, attempts)


async def test_later_phases_of_a_request_are_not_leased_again() -> None:
    privacy = Privacy()
    held = privacy.leases
    await held.of([_offered(["req_1/stats/FENCE"])])
    for phase in ("ERASE", "SWEEP", "ATTEST"):
        [task] = await held.of([_offered([f"req_1/stats/{phase}"])])
        assert (task.task_id, task.phase) == (f"req_1/stats/{phase}", Phase.Value(f"PHASE_{phase}"))
        assert [one.value for one in task.identifiers] == ["person of req_1"]
        assert list(task.tokens) == [b"req_1"]
        assert task.attempt == 1
    assert privacy.asked == ["req_1/stats/FENCE"]


async def test_a_person_is_forgotten_with_the_last_phase() -> None:
    privacy = Privacy()
    held = privacy.leases
    await held.of([_offered(["req_1/stats/FENCE"])])
    await held.of([_offered(["req_1/stats/ATTEST"])])
    await held.of([_offered(["req_1/stats/SWEEP"])])
    assert privacy.asked == ["req_1/stats/FENCE", "req_1/stats/SWEEP"]


@pytest.mark.parametrize("offers", [[_offered(["req_1/stats/ERASE"], 2)], [_offered(["req_1/stats/ERASE"])] * 2])
async def test_privacy_decides_whether_a_repeated_offer_is_still_to_do(offers: list[Event]) -> None:
    privacy = Privacy()
    held = privacy.leases
    await held.of([_offered(["req_1/stats/FENCE"])])
    [task] = await held.of(offers)
    assert task.attempt == 7
    assert privacy.asked == ["req_1/stats/FENCE", "req_1/stats/ERASE"]


async def test_a_task_of_another_holder_is_never_done_from_memory() -> None:
    privacy = Privacy()
    held = privacy.leases
    await held.of([_offered(["req_1/stats/FENCE"])])
    await held.of([_offered(["req_1/audit/ERASE"])])
    assert privacy.asked[1:] == ["req_1/audit/ERASE"]


async def test_the_oldest_person_leaves_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_REMEMBERED", 2)
    privacy = Privacy()
    held = privacy.leases
    await held.of([_offered([f"req_{number}/stats/FENCE" for number in range(3)])])
    await held.of([_offered([f"req_{number}/stats/ERASE" for number in range(3)])])
    assert privacy.asked[3:] == ["req_0/stats/ERASE"]


async def test_a_task_that_asks_for_it_is_leased_though_its_person_is_in_memory() -> None:
    privacy = Privacy()
    held = privacy.leases
    await held.of([_offered(["req_1/stats/FENCE", "req_2/stats/FENCE"])])
    erasing = ["req_1/stats/ERASE", "req_2/stats/ERASE"]
    data = TasksOffered(holder="stats", task_ids=erasing, fresh_task_ids=erasing[1:]).SerializeToString()
    await held.of([Event("event", "subject", "type", datetime.now(UTC), data, 1)])
    assert privacy.asked[2:] == erasing[1:]


@pytest.mark.parametrize(("minutes", "again"), [(4, []), (5, ["req_1/stats/ERASE"])])
async def test_who_was_handed_out_minutes_ago_is_forgotten_though_the_last_phase_never_comes(
    monkeypatch: pytest.MonkeyPatch, minutes: int, again: list[str]
) -> None:
    monkeypatch.setattr(leases, "_LOOK_SECONDS", 0)
    privacy, clock = Privacy(), WatchedClock()
    held = privacy.leases_on(clock)
    await held.of([_offered(["req_1/stats/FENCE"])])
    clock.advance(timedelta(minutes=minutes))
    clock.looked.clear()
    forgetting = asyncio.create_task(held.forget())
    await clock.looked.wait()
    forgetting.cancel()
    with suppress(asyncio.CancelledError):
        await forgetting
    await held.of([_offered(["req_1/stats/ERASE"])])
    assert privacy.asked[1:] == again
