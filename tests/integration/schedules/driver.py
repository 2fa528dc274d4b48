"""A schedule: deletions in flight while a seeded dice kills, doubles, reorders, delays, restores and syncs again."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from igstats.holder.v1.receipt_pb2 import Outcome, Receipt
from igstats.holder.v1.task_pb2 import Phase
from igstats_kit.errors import DomainError, Reason
from igstats_kit.receipt import verify
from igstats_privacy.model import State, TaskState

from tests.integration.schedules.mortal import Killed
from tests.integration.schedules.world import Holder, Process, World

_PERSONS = 3
_ACTIONS = 40
_ROUNDS = 60
_AN_HOUR, _BACKUPS = timedelta(minutes=61), timedelta(days=8)
_GONE = frozenset({Outcome.OUTCOME_ERASED, Outcome.OUTCOME_NOT_HELD})


@dataclass
class Schedule:
    """One seed, and what the dice made of it."""

    seed: int
    world: World
    requests: dict[str, int] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - a repeatable schedule
        first = self.world.persons
        self.world.persons += _PERSONS
        self.people = range(first, first + _PERSONS)
        self.backups: dict[str, str] = {}
        self.asked: dict[str, int] = {}
        self.held: set[tuple[str, int]] = set()

    async def run(self) -> list[str]:
        """Runs it to its end; answers what is wrong."""
        await self._fill()
        for _ in range(_ACTIONS):
            await self._act()
        await self._settle()
        return await self._wrong()

    async def _fill(self) -> None:
        for number in self.people:
            for holder in self.world.holders.values():
                if holder.name == "east" or self.dice.random() < 0.5:
                    await self.world.sync(holder, number)
                    self.held.add((holder.name, number))

    async def _act(self) -> None:
        """One to three actions at a time; at most one of them is killed."""
        actions = (self._open, self._triage, self._publish, self._deliver, self._sync, self._delay, self._back_up)
        weights = (4, 3, 7, 18, 4, 2, 1)
        if self.dice.random() < 0.08:
            await self._restore()
        chosen = self.dice.choices(actions, weights, k=self.dice.choice((1, 1, 2, 3)))
        alone = [action for action in chosen if action == self._back_up]
        victim = self.dice.choice([self.world.privacy, *self.world.holders.values()])
        if self.dice.random() < 0.6 and not alone:
            victim.database.steps_left = self.dice.randrange(8)
        together = alone[:1] or chosen
        outcomes = await asyncio.gather(*(self._noting(action) for action in together), return_exceptions=True)
        victim.database.live()
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not _may_be(outcome):
                raise outcome
        if any(isinstance(outcome, Killed) for outcome in outcomes):
            self.done["kill"] += 1
            await self._revive(victim)

    async def _noting(self, action: Callable[[], Awaitable[None]]) -> None:
        self.done[action.__name__.strip("_")] += 1
        await action()

    async def _revive(self, victim: Process) -> None:
        if isinstance(victim, Holder):
            victim.start(self.world.office)
            await victim.get_ready()
        else:
            self.world.restart_privacy()

    async def _open(self) -> None:
        number = self.dice.choice(self.people)
        await self._ask(number, f"{self.seed}-{number}-{self.dice.randrange(2)}")

    async def _ask(self, number: int, key: str) -> None:
        """Who gets no answer asks again later with the same key; once it is there, nothing may lose the request."""
        self.asked[key] = number
        self.requests[await self.world.open(number, key)] = number
        self.asked.pop(key, None)

    async def _triage(self) -> None:
        await self.world.office.triage.run_once()

    async def _publish(self) -> None:
        everybody = [self.world.privacy, *self.world.holders.values()]
        for process in self.dice.sample(everybody, self.dice.randint(1, 3)):
            await self.world.publish(process, forgets=self.dice.random() > 0.2)

    async def _deliver(self) -> None:
        """Takes messages from the wire, the oldest or not; each may come again later."""
        self.dice.shuffle(self.world.wire)
        count = self.dice.randint(1, 4)
        events, self.world.wire = self.world.wire[:count], self.world.wire[count:]
        for event in events:
            if self.dice.random() < 0.25:
                self.done["duplicate"] += 1
                self.world.wire.append(replace(event, attempts=event.attempts + 1))
        try:
            await self.world.deliver(*events)
        except BaseException:
            self.world.wire += [replace(event, attempts=event.attempts + 1) for event in events]  # not acknowledged
            raise

    async def _sync(self) -> None:
        holder, number = self.dice.choice(list(self.world.holders.values())), self.dice.choice(self.people)
        if holder.ready and await self.world.sync(holder, number):
            self.held.add((holder.name, number))

    async def _delay(self) -> None:
        await self.world.tick(timedelta(seconds=self.dice.choice((1, 61, 200))))

    async def _back_up(self) -> None:
        holder = self.dice.choice(list(self.world.holders.values()))
        if holder.name not in self.backups:
            self.backups[holder.name] = await self.world.copy(holder)

    async def _restore(self) -> None:
        if not self.backups:
            return
        name = self.dice.choice(sorted(self.backups))
        holder = self.world.holders[name]
        await self.world.restore(holder, self.backups.pop(name))
        self.done["restore"] += 1
        self.held = {(held, number) for held, number in self.held if held != name}  # what it erases now may be replayed
        await holder.get_ready()

    async def _settle(self) -> None:
        """The faults end: what is right must come to its end by itself."""
        for backup in self.backups.values():
            await self.world.server.drop_database(backup)
        last = {f"{self.seed}-{number}-last": number for number in self.people}
        for key, number in ({**self.asked, **last}).items():
            await self._ask(number, key)
        await self.world.office.triage.run_once()
        for _ in range(_ROUNDS):
            for process in (self.world.privacy, *self.world.holders.values()):
                await self.world.publish(process)
            waiting, self.world.wire = self.world.wire, []
            await self.world.deliver(*waiting)
            states = set() if waiting else await self.world.states(self.requests)
            if states == {State.FULFILLED}:
                return
            if not waiting:  # backups expire; until then whatever was lost is offered again within the hour
                await self.world.tick(_BACKUPS if states <= {State.SETTLING, State.FULFILLED} else _AN_HOUR)
                await self.world.office.triage.run_once()

    async def _open_ones(self) -> list[str]:
        return [name for name in self.requests if (await self.world.office.state(name)) is not State.FULFILLED]

    async def _wrong(self) -> list[str]:
        wrong = [f"request {name} has not ended: {await self._words(name)}" for name in await self._open_ones()]
        for number in self.people:
            for holder in self.world.holders.values():
                if await self.world.sync(holder, number):
                    wrong.append(f"{holder.name} took person {number} back")
                if rows := await holder.rows_of(number):
                    wrong.append(f"{holder.name} has {rows} rows of person {number}")
        return wrong + self._false_receipts()

    async def _words(self, request_id: str) -> str:
        shown = await self.world.office.show(request_id)
        tasks = [f"{one.holder}/{one.phase} {one.state}" for one in shown.tasks if one.state is not TaskState.SETTLED]
        return f"{shown.request.state}, {', '.join(tasks)}"

    def _false_receipts(self) -> list[str]:
        """Every receipt verifies; every request has the last word of every holder; who held something says so."""
        words: dict[tuple[str, str], set[int]] = {}
        for signed in self.world.receipts:
            holder = self.world.holders[Receipt.FromString(signed.receipt).holder]
            receipt = verify(signed, holder.signer.public_key)
            if receipt.phase == Phase.PHASE_ATTEST:
                words.setdefault((holder.name, receipt.request_id), set()).add(receipt.outcome)
        mine = [(name, request_id) for name in self.world.holders for request_id in self.requests]
        wrong = [f"{place} has no last word" for place in mine if not words.get(place, set()) & _GONE]
        erased = {
            (name, number)
            for (name, request_id) in mine
            if Outcome.OUTCOME_ERASED in words.get((name, request_id), ())
            for number in [self.requests[request_id]]
        }
        return wrong + [f"{place} was held and nobody says that it was erased" for place in sorted(self.held - erased)]


def _may_be(outcome: BaseException) -> bool:
    """Deaths, and a database that is slow to answer: whoever asked asks again."""
    return isinstance(outcome, Killed) or (
        isinstance(outcome, DomainError) and outcome.reason is Reason.DEPENDENCY_UNAVAILABLE
    )


def describe(seed: int, wrong: list[str]) -> str:
    """A failure as somebody needs it to repeat it."""
    return f"IGSTATS_SCHEDULE_SEED={seed}: " + "; ".join(wrong)
