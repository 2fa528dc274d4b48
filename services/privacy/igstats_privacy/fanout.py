"""Moves requests on: reads how their tasks stand, opens phases, writes states and facts, in the caller's transaction.

The rules are `lifecycle`'s; here they are applied to a whole batch of requests with a handful of statements.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from igstats_kit.clock import Clock

from igstats_privacy import events, lifecycle, store, task_store
from igstats_privacy.clocks import offer_again
from igstats_privacy.lifecycle import FINAL, GROUNDS_APART, Step
from igstats_privacy.model import Change, State, TaskKey, TaskState
from igstats_privacy.store import Connection
from igstats_privacy.task_store import Advance, Stand

_DATED = FINAL | {State.SETTLING}

Jitter = Callable[[], float]
"""A random number from 0 to 1, so that repeats do not come in step."""

Grounds = Callable[[bytes], Sequence[str]]
"""The legal grounds on which something stays, as a serialised receipt says."""


class Fanout:
    """Applies the life cycle to stored requests."""

    def __init__(self, clock: Clock, jitter: Jitter, grounds: Grounds) -> None:
        self._clock = clock
        self._jitter = jitter
        self._grounds = grounds

    async def accept(self, connection: Connection, request_ids: Iterable[str]) -> None:
        """Starts locked requests whose plan has just been written."""
        stands = await task_store.progress(connection, request_ids)
        await self._advance(connection, stands, {name: lifecycle.accepted(one.state) for name, one in stands.items()})

    async def advance(self, connection: Connection, request_ids: Iterable[str]) -> None:
        """Brings locked requests as far as their tasks allow."""
        if ids := list(request_ids):
            await self.settle(connection, await task_store.progress(connection, ids))

    async def settle(self, connection: Connection, stands: Mapping[str, Stand]) -> None:
        """Brings locked requests, whose tasks stand as given, as far as that allows."""
        await self._advance(connection, stands, {name: one.state for name, one in stands.items()})

    async def move(self, connection: Connection, old: Mapping[str, State], new: Mapping[str, State]) -> None:
        """Brings locked requests without tasks into new states."""
        steps = {name: Step(state, None, blocked=False) for name, state in new.items()}
        await self._write(connection, old, steps, {}, {})

    def next_offer(self, now: datetime, offers: int) -> datetime:
        """When a task that has now been offered `offers` times is offered again."""
        return offer_again(now, offers, self._jitter())

    async def _advance(self, connection: Connection, stands: Mapping[str, Stand], states: Mapping[str, State]) -> None:
        now = self._clock.now()
        steps = {name: lifecycle.advance(states[name], stand.progress, now) for name, stand in stands.items()}
        opened = {
            key: state
            for name, stand in stands.items()
            if (phase := steps[name].offer) is not None
            for key, state in stand.opening(phase)
        }
        for key, state in opened.items():
            if state is TaskState.BLOCKED:
                steps[key.request_id] = replace(steps[key.request_id], blocked=True)
        changed = {name: step for name, step in steps.items() if _differs(step, stands[name])}
        held = {name for name, stand in stands.items() if stand.held}
        effective = {name: stands[name].progress.effective_at for name in changed}
        old = {name: stands[name].state for name in changed}
        await self._write(connection, old, changed, effective, opened, held)

    async def _write(
        self,
        connection: Connection,
        old: Mapping[str, State],
        steps: Mapping[str, Step],
        effective: Mapping[str, datetime | None],
        opened: Mapping[TaskKey, TaskState],
        held: Collection[str] = (),
    ) -> None:
        if not steps and not opened:
            return
        now = self._clock.now()
        # While tasks are unsettled nobody knows the date; it is shown once they all are.
        known = {name: effective.get(name) for name, step in steps.items() if step.state in _DATED}
        changes = [Change(name, old[name], step.state) for name, step in steps.items() if step.state is not old[name]]
        closed = {name: step.state for name, step in steps.items() if step.state in FINAL}
        facts = events.tasks_offered([key for key, state in opened.items() if state is TaskState.OFFERED], held)
        facts += events.requests_changed(changes, now)
        if closed:
            await self._give_grounds(connection, closed)
            facts += events.requests_closed(closed, await task_store.words(connection, closed), now)
        move = Advance(opened, self.next_offer(now, 1), steps, known, facts)
        await task_store.advance(connection, move, now)

    async def _give_grounds(self, connection: Connection, closed: Mapping[str, State]) -> None:
        """A request that is met in part says why (11 CCR 7101(b)): on which grounds something stays, by their names."""
        in_part = [name for name, state in closed.items() if state is State.FULFILLED_IN_PART]
        if in_part:
            kept = await store.retaining(connection, in_part)
            said = {name: sorted({one for raw in raws for one in self._grounds(raw)}) for name, raws in kept.items()}
            await store.give_reasons(connection, {name: GROUNDS_APART.join(one) for name, one in said.items()})


def _differs(step: Step, stand: Stand) -> bool:
    return (step.state, step.blocked) != (stand.state, stand.blocked)
