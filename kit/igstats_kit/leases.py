"""Leases: where a holder gets the tasks that it was offered, with the identifiers of their persons.

Privacy hands identifiers out once a request. They stay in this process's memory until the request's last phase, so the
phases in between need no call; a repeated offer, one that asks for it, or one that this process knows nothing of is
leased again. The last phase may go to another replica, so nobody is remembered for much longer than five minutes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from igstats.event.v1.events_pb2 import TasksOffered
from igstats.holder.v1.holder_tasks_service_pb2 import LeaseTasksRequest
from igstats.holder.v1.task_pb2 import Phase, Task

from igstats_kit.clock import Clock
from igstats_kit.events import Event

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_LIMIT = 512
_REMEMBERED = 4_096
_REMEMBERED_FOR = timedelta(minutes=5)
_LOOK_SECONDS = 15.0


class Leases:
    """Turns offers into tasks."""

    def __init__(self, holder: str, stub: "HolderTasksServiceAsyncStub", clock: Clock) -> None:
        self._holder = holder
        self._stub = stub
        self._clock = clock
        self._persons: OrderedDict[str, tuple[datetime, Task]] = OrderedDict()

    async def forget(self) -> NoReturn:
        """Forgets whom privacy handed out more than five minutes ago, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            limit = self._clock.now() - _REMEMBERED_FOR
            while self._persons and next(iter(self._persons.values()))[0] <= limit:
                self._persons.popitem(last=False)

    async def of(self, events: Sequence[Event]) -> list[Task]:
        """The offered tasks that are still to be done.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE while privacy does not answer.
        """
        offers: dict[str, bool] = {}
        for event in events:
            offered = TasksOffered.FromString(event.data)
            fresh = frozenset(offered.fresh_task_ids)
            for task_id in offered.task_ids:
                # What came twice may have failed or been done: privacy knows whether it is still to do, and counts.
                offers[task_id] = task_id not in offers and event.attempts == 1 and task_id not in fresh
        known = [task for task_id, first in offers.items() if first and (task := self._next(task_id)) is not None]
        here = {task.task_id for task in known}
        return known + await self._lease([task_id for task_id in offers if task_id not in here])

    def _next(self, task_id: str) -> Task | None:
        """A further task of a request whose person is in memory."""
        request_id, _, phase = task_id.partition(f"/{self._holder}/")
        found = self._persons.get(request_id)
        if found is None:
            return None
        task = Task()
        task.CopyFrom(found[1])
        task.task_id, task.phase, task.attempt = task_id, Phase.Value(f"PHASE_{phase}"), 1
        if task.phase == Phase.PHASE_ATTEST:
            del self._persons[request_id]
        return task

    async def _lease(self, task_ids: Sequence[str]) -> list[Task]:
        tasks: list[Task] = []
        for start in range(0, len(task_ids), _LIMIT):
            request = LeaseTasksRequest(holder=self._holder, task_ids=task_ids[start : start + _LIMIT])
            tasks += (await self._stub.LeaseTasks(request)).tasks
        for task in tasks:
            self._remember(task)
        return tasks

    def _remember(self, task: Task) -> None:
        if task.phase == Phase.PHASE_ATTEST:
            self._persons.pop(task.request_id, None)
            return
        self._persons[task.request_id] = self._clock.now(), task
        self._persons.move_to_end(task.request_id)
        if len(self._persons) > _REMEMBERED:
            self._persons.popitem(last=False)
