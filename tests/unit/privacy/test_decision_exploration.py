"""Explores what may happen around acceptance: proofs, waits, approvals, holds, duplicates; finds every planted bug.

The world is one person with two stores at one holder, up to two requests for their erasure and the one that goes on
after a hold. Officers, the person, the reconciler and the holder act in any order. How tasks and messages interleave
inside of a request is explored in `test_lifecycle_exploration`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from igstats_privacy import lifecycle, waits
from igstats_privacy.lifecycle import FINAL, PHASES, RUNNING, Move, Standing, movable
from igstats_privacy.model import Outcome, Phase, Right, State, SubjectClass, TaskState, Wait
from igstats_privacy.policy import Policy
from igstats_privacy.waits import Case, Named

NOW = datetime(2026, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
PERSON = frozenset({b"person"})
STEPS = PHASES[Right.ERASURE]
ERASING = STEPS.index(Phase.ERASE)
SUCCESS = frozenset({State.FULFILLED, State.FULFILLED_IN_PART})
FOR_APPROVAL = frozenset({Wait.APPROVAL, Wait.SECOND_APPROVAL})
OFFICERS = ("ada", "grace")


def names_kept(state: State, _waited: bool) -> bool:  # noqa: FBT001 - a rule under exploration
    """The names in a request are destroyed when it ends (`task_store.advance`) and never before."""
    return state not in FINAL


def resumed(kept_back: Collection[int]) -> bool:
    """Whether the release of a hold opens an erasure (`decisions.holds`)."""
    return bool(kept_back)


def proof_of(own: bool, _first: bool) -> bool:  # noqa: FBT001 - a rule under exploration
    """A request is proved by what was proved of itself, never by the one that it repeats."""
    return own


def may_start(_first: State | None) -> bool:
    """A duplicate starts whatever has become of the first."""
    return True


@dataclass(frozen=True)
class Rules:
    """The rules under exploration. Each field is replaced by a bug in the tests of the explorer itself."""

    next_wait: Callable[..., waits.Waiting] = waits.next_wait
    after_approval: Callable[..., Wait] = waits.after_approval
    movable: Callable[[Move], frozenset[State]] = movable
    after_offer: Callable[..., TaskState] = lifecycle.after_offer
    names_kept: Callable[[State, bool], bool] = names_kept
    resumed: Callable[[Collection[int]], bool] = resumed
    proof_of: Callable[[bool, bool], bool] = proof_of
    may_start: Callable[[State | None], bool] = may_start
    continues: Callable[..., bool] = waits.continues


class Wish(NamedTuple):
    """One request. `proved`, `withdrawn` and `denied` are what persons really did."""

    state: State = State.RECEIVED
    proved: bool = False
    officers: frozenset[str] = frozenset()
    approved: bool = False
    wait: Wait = Wait.UNSPECIFIED
    window: int = 0  # 0 never opened, 1 open, 2 over
    waited: bool = False
    settled: int = 0  # phases that are done
    current: TaskState = TaskState.PLANNED
    retained: bool = False
    withdrawn: bool = False
    denied: bool = False
    child: bool = False


class World(NamedTuple):
    wishes: tuple[Wish, ...]
    rows: frozenset[str] = frozenset({"held", "other"})
    hold: int = 0  # 0 may still be placed, 1 in force, 2 over
    kept_back: frozenset[int] = frozenset()
    stopped: bool = False
    may_stop: bool = False


class Edge(NamedTuple):
    after: World
    fair: bool  # happens in the end when nobody interferes


class BrokenPromiseError(AssertionError):
    """An invariant does not hold."""


class Explorer:
    """Runs the rules through everything that may happen to one person's requests."""

    def __init__(self, policy: Policy, requests: int, rules: Rules, *, stops: bool = False, holds: bool = True) -> None:
        self.policy, self.rules = policy, rules
        self.start = World((Wish(),) * requests, hold=0 if holds else 2, may_stop=stops)

    def explore(self) -> int:
        """Visits every world, checks every promise, then that no world is a dead end; counts the worlds."""
        seen, waiting = {self.start}, [self.start]
        before: dict[World, list[World]] = defaultdict(list)
        while waiting:
            world = waiting.pop()
            for after, fair in self._edges(world):
                if after not in seen:
                    self._check(after)
                    seen.add(after)
                    waiting.append(after)
                if fair:
                    before[after].append(world)
        self._check_live(seen, before)
        return len(seen)

    # What may happen

    def _edges(self, world: World) -> Iterator[Edge]:
        for number, wish in enumerate(world.wishes):
            yield from self._persons(world, number, wish)
            yield from self._officers(world, number, wish)
            yield from self._triage(world, number, wish)
            yield from self._clock(world, number, wish)
            yield from self._holder(world, number, wish)
        yield from self._holds(world)
        if world.stopped:
            yield Edge(self._switched_on(world), fair=True)
        elif world.may_stop:
            yield Edge(self._switched_off(world), fair=False)

    def _persons(self, world: World, number: int, wish: Wish) -> Iterator[Edge]:
        if wish.state in self.rules.movable(Move.PROVE) and not wish.proved:
            yield Edge(self._put(world, number, wish._replace(state=State.TRIAGE, proved=True)), fair=False)
        if wish.state in self.rules.movable(Move.WITHDRAW) and not self._continues(wish):
            yield Edge(self._put(world, number, wish._replace(state=State.WITHDRAWN, withdrawn=True)), fair=False)

    def _officers(self, world: World, number: int, wish: Wish) -> Iterator[Edge]:
        if wish.state in self.rules.movable(Move.DENY) and not self._continues(wish):
            yield Edge(self._put(world, number, wish._replace(state=State.DENIED, denied=True)), fair=False)
        if wish.state is not State.TRIAGE or wish.wait not in FOR_APPROVAL:
            return
        for officer in set(OFFICERS) - wish.officers:
            officers = wish.officers | {officer}
            wait = self.rules.after_approval(self.policy, self._case(wish), len(officers), None)
            done = wish._replace(officers=officers, wait=wait, approved=wait is Wait.UNSPECIFIED)
            yield Edge(self._put(world, number, done), fair=True)

    def _continues(self, wish: Wish) -> bool:
        return self.rules.continues(Right.ERASURE, is_child=wish.child)

    def _triage(self, world: World, number: int, wish: Wish) -> Iterator[Edge]:
        looked_at = wish.wait is Wait.UNSPECIFIED or (wish.wait is Wait.WINDOW and wish.window > 1)
        names = wish.child or self.rules.names_kept(wish.state, wish.waited)
        if wish.state not in {State.RECEIVED, State.TRIAGE} or not looked_at or not names:
            return
        first = self._first(world, number)
        if not wish.child and not self.rules.proof_of(wish.proved, first is not None and first.proved):
            yield Edge(self._put(world, number, wish._replace(state=State.IDENTITY_PENDING)), fair=True)
        elif self.rules.may_start(first.state if first is not None else None):
            yield Edge(self._put(world, number, self._decided(wish, stopped=world.stopped)), fair=True)

    def _first(self, world: World, number: int) -> Wish | None:
        named = [Named(f"req_{one}", Right.ERASURE, PERSON, NOW, w.child) for one, w in enumerate(world.wishes)]
        found = waits.repeats(named[number], named)
        return world.wishes[named.index(found)] if found is not None else None

    def _decided(self, wish: Wish, *, stopped: bool) -> Wish:
        found = self.rules.next_wait(self.policy, self._case(wish), NOW)
        if found.wait is Wait.UNSPECIFIED:
            state = lifecycle.accepted(wish.state)
            return self._advanced(wish._replace(state=state, wait=found.wait), stopped=stopped)
        window = 1 if found.wait is Wait.WINDOW else wish.window
        return wish._replace(state=lifecycle.waiting(wish.state), wait=found.wait, window=window)

    def _case(self, wish: Wish) -> Case:
        until = {0: None, 1: NOW + HOUR, 2: NOW - HOUR}[wish.window]
        return Case(Right.ERASURE, "api", SubjectClass.TENANT, wish.child, wish.approved, until)

    def _clock(self, world: World, number: int, wish: Wish) -> Iterator[Edge]:
        if wish.state in self.rules.movable(Move.EXPIRE):
            yield Edge(self._put(world, number, wish._replace(state=State.EXPIRED)), fair=True)
        if wish.wait is Wait.WINDOW and wish.window == 1 and wish.state is State.TRIAGE:
            yield Edge(self._put(world, number, wish._replace(window=2)), fair=True)
        if wish.state is State.TRIAGE and not wish.waited:
            yield Edge(self._put(world, number, wish._replace(waited=True)), fair=False)

    def _holder(self, world: World, number: int, wish: Wish) -> Iterator[Edge]:
        if wish.state not in RUNNING or wish.current is not TaskState.OFFERED or world.stopped:
            return
        if wish.settled != ERASING:
            yield Edge(self._settled(world, number, wish), fair=True)
            return
        stays = world.rows & {"held"} if world.hold == 1 else frozenset[str]()
        kept = world.kept_back | {number} if world.hold == 1 else world.kept_back
        erased = world._replace(rows=stays, kept_back=kept)
        yield Edge(self._settled(erased, number, wish._replace(retained=bool(stays))), fair=True)

    def _settled(self, world: World, number: int, wish: Wish) -> World:
        done = wish._replace(settled=wish.settled + 1, current=TaskState.PLANNED)
        return self._put(world, number, self._advanced(done, stopped=world.stopped))

    def _holds(self, world: World) -> Iterator[Edge]:
        destroying = any(wish.state in RUNNING and wish.settled >= ERASING for wish in world.wishes)
        if world.hold == 0:
            if not destroying:
                yield Edge(world._replace(hold=1), fair=False)
            yield Edge(world._replace(hold=2), fair=True)
        if world.hold == 1:
            over = world._replace(hold=2)
            if self.rules.resumed(world.kept_back):
                over = over._replace(wishes=(*world.wishes, Wish(proved=True, child=True)))
            yield Edge(over, fair=True)

    def _switched_off(self, world: World) -> World:
        blocked = tuple(
            wish._replace(current=lifecycle.after_stop(wish.current)) if wish.state in RUNNING else wish
            for wish in world.wishes
        )
        return world._replace(wishes=blocked, stopped=True, may_stop=False)

    def _switched_on(self, world: World) -> World:
        back = tuple(
            self._advanced(wish._replace(current=lifecycle.after_retry(wish.current)), stopped=False)
            if wish.state in RUNNING
            else wish
            for wish in world.wishes
        )
        return world._replace(wishes=back, stopped=False)

    # What the coordinator does in the same transaction

    def _put(self, world: World, number: int, wish: Wish) -> World:
        if wish.state in FINAL:
            wish = wish._replace(wait=Wait.UNSPECIFIED)
        return world._replace(wishes=(*world.wishes[:number], wish, *world.wishes[number + 1 :]))

    def _advanced(self, wish: Wish, *, stopped: bool) -> Wish:
        done = lifecycle.progress(Right.ERASURE, self._standings(wish), ["holder"])
        step = lifecycle.advance(wish.state, done, NOW)
        wish = wish._replace(state=step.state)
        if step.offer is None:
            return wish
        offered = self.rules.after_offer(wish.current, enabled=not stopped)
        wish = wish._replace(current=offered)
        if offered is TaskState.SETTLED:
            return self._advanced(wish._replace(settled=wish.settled + 1, current=TaskState.PLANNED), stopped=stopped)
        return wish

    def _standings(self, wish: Wish) -> list[Standing]:
        outcome = Outcome.RETAINED if wish.retained else Outcome.ERASED
        states = [TaskState.SETTLED] * wish.settled + [wish.current]
        states += [TaskState.PLANNED] * (len(STEPS) - len(states))
        return [
            Standing("holder", phase, state, outcome if state is TaskState.SETTLED else None)
            for phase, state in zip(STEPS, states, strict=False)
        ]

    # What must hold

    def _check(self, world: World) -> None:
        for wish in world.wishes:
            started = wish.state in RUNNING | SUCCESS
            if started and not wish.proved:
                raise BrokenPromiseError("a request was accepted whose own identity nobody has proved")
            needed = waits.officers_needed(self.policy, self._case(wish))
            if started and not wish.child and len(wish.officers) < needed:
                raise BrokenPromiseError("a request was accepted that too few officers have approved")
            if wish.state is State.EXPIRED and wish.proved:
                raise BrokenPromiseError("a healthy request was cancelled")
            if wish.state is State.WITHDRAWN and not wish.withdrawn:
                raise BrokenPromiseError("a request was taken back by nobody")
            if wish.state is State.FULFILLED and world.rows and wish.settled:
                raise BrokenPromiseError("success without effect")
            if wish.state in SUCCESS and "other" in world.rows:
                raise BrokenPromiseError("success without effect")

    def _check_live(self, seen: set[World], before: dict[World, list[World]]) -> None:
        alive = {world for world in seen if self._is_good_end(world)}
        waiting = list(alive)
        while waiting:
            for world in before[waiting.pop()]:
                if world not in alive:
                    alive.add(world)
                    waiting.append(world)
        if alive != seen:
            raise BrokenPromiseError("a request can never end, or what a hold kept back is never erased")

    def _is_good_end(self, world: World) -> bool:
        over = world.hold == 2 and all(wish.state in FINAL for wish in world.wishes)
        erased = any(wish.state in SUCCESS for wish in world.wishes)
        return over and not (erased and world.rows)


ONE = Policy(approve=frozenset({Right.ERASURE}))
TWO = Policy(approve=frozenset({Right.ERASURE}), second_tenant=True)
WINDOW = Policy(window=HOUR)
ALL = Policy(approve=frozenset({Right.ERASURE}), second_tenant=True, window=HOUR)


# The rules as they are


@pytest.mark.parametrize("policy", [Policy(), ONE, TWO, WINDOW, ALL], ids=["none", "one", "two", "window", "all"])
def test_one_request_keeps_every_promise_whatever_it_waits_for(policy: Policy) -> None:
    assert Explorer(policy, 1, Rules(), stops=True).explore() > 100


@pytest.mark.parametrize(("policy", "holds"), [(Policy(), True), (ONE, False), (WINDOW, False)])
def test_a_request_and_its_duplicate_keep_every_promise(policy: Policy, *, holds: bool) -> None:
    assert Explorer(policy, 2, Rules(), holds=holds).explore() > 1000


# The explorer finds every bug that is planted


def _approvals_expire(policy: Policy, case: Case, now: datetime) -> waits.Waiting:
    forgetful = Case(case.right, case.door, case.subject_class, case.is_child, False, case.wait_until)
    return waits.next_wait(policy, forgetful, now)


def _names_expire(state: State, waited: bool) -> bool:  # noqa: FBT001 - a rule under exploration
    return names_kept(state, waited) and not waited


def _one_officer_is_enough(*_: object) -> Wait:
    return Wait.UNSPECIFIED


def _windows_never_end(policy: Policy, case: Case, now: datetime) -> waits.Waiting:
    return waits.next_wait(policy, Case(case.right, case.door, case.subject_class, approved=case.approved), now)


def _verified_by_the_first(own: bool, first: bool) -> bool:  # noqa: FBT001 - a rule under exploration
    return own or first


def _watchdog(move: Move) -> frozenset[State]:
    return movable(move) | RUNNING | {State.TRIAGE} if move is Move.EXPIRE else movable(move)


def _never_resumed(_kept_back: Collection[int]) -> bool:
    return False


def _continues_nothing(_right: Right, *, is_child: bool) -> bool:
    del is_child
    return False


def _waits_for_the_first(first: State | None) -> bool:
    return first is None or first in SUCCESS


def _switched_off_is_success(state: TaskState, *, enabled: bool) -> TaskState:
    return lifecycle.after_offer(state, enabled=enabled) if enabled else TaskState.SETTLED


BUGS: dict[str, tuple[Rules, Policy, int]] = {
    "a disabled holder counted as success": (Rules(after_offer=_switched_off_is_success), Policy(), 1),
    "approval after expiry of cached state: the names are gone": (Rules(names_kept=_names_expire), ONE, 1),
    "approval after expiry of cached state: the approval is gone": (Rules(next_wait=_approvals_expire), ONE, 1),
    "a second officer who is not asked": (Rules(after_approval=_one_officer_is_enough), TWO, 1),
    "a window that never ends": (Rules(next_wait=_windows_never_end), WINDOW, 1),
    "a duplicate skipping verification": (Rules(proof_of=_verified_by_the_first), Policy(), 2),
    "a duplicate that waits for a first that never succeeds": (Rules(may_start=_waits_for_the_first), Policy(), 2),
    "a watchdog cancelling a healthy request": (Rules(movable=_watchdog), Policy(), 1),
    "a hold release that never resumes": (Rules(resumed=_never_resumed), Policy(), 1),
    "what goes on after a hold refused or taken back": (Rules(continues=_continues_nothing), Policy(), 1),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_explorer_finds(bug: str) -> None:
    rules, policy, requests = BUGS[bug]
    with pytest.raises(BrokenPromiseError):
        Explorer(policy, requests, rules, stops=requests == 1, holds=requests == 1).explore()
