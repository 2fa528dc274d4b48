"""The life of a request: which tasks it needs, what each event does to it, when it has ended. Pure.

A request goes RECEIVED, IDENTITY_PENDING, TRIAGE, ACCEPTED, FENCING, EXECUTING, VERIFYING, SETTLING and ends
FULFILLED, FULFILLED_IN_PART, DENIED, WITHDRAWN or EXPIRED. From ACCEPTED on the tasks alone decide: the current phase
is the lowest one with an unsettled task, and the next opens when every holder has settled it. Receipts are a set,
never a count.

The SQL of `task_store` takes its state sets from here, and a test explores every interleaving of these rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache

from igstats_kit.errors import DomainError, Reason

from igstats_privacy.model import Outcome, Phase, Right, State, TaskState

PHASES: Mapping[Right, tuple[Phase, ...]] = {
    Right.ERASURE: (Phase.FENCE, Phase.ERASE, Phase.SWEEP, Phase.ATTEST),
    Right.ACCESS: (Phase.EXPORT, Phase.ATTEST),
    Right.RESTRICTION: (Phase.RESTRICT, Phase.ATTEST),
    Right.LIFTING: (Phase.LIFT, Phase.ATTEST),
    Right.CORRECTION: (Phase.CORRECT, Phase.ATTEST),
    Right.PORTABILITY: (Phase.EXPORT, Phase.ATTEST),
    Right.OBJECTION: (Phase.OBJECT, Phase.ATTEST),
    Right.OPT_OUT: (Phase.OBJECT, Phase.ATTEST),
    Right.OPT_IN: (Phase.RESUME, Phase.ATTEST),
    Right.CATEGORIES: (Phase.ATTEST,),
    Right.PREVIEW: (Phase.PREVIEW, Phase.ATTEST),
}
"""What every holder does for a right, in order."""

_STATES: Mapping[Phase, State] = {
    Phase.FENCE: State.FENCING,
    Phase.ERASE: State.EXECUTING,
    Phase.EXPORT: State.EXECUTING,
    Phase.RESTRICT: State.EXECUTING,
    Phase.LIFT: State.EXECUTING,
    Phase.CORRECT: State.EXECUTING,
    Phase.OBJECT: State.EXECUTING,
    Phase.RESUME: State.EXECUTING,
    Phase.PREVIEW: State.EXECUTING,
    Phase.SWEEP: State.VERIFYING,
    Phase.ATTEST: State.VERIFYING,
}

FINAL = frozenset({State.FULFILLED, State.FULFILLED_IN_PART, State.DENIED, State.WITHDRAWN, State.EXPIRED})
"""States that nothing leaves."""

GROUNDS_APART = "; "
"""Between the grounds of one request that is met in part."""

RUNNING = frozenset({State.ACCEPTED, State.FENCING, State.EXECUTING, State.VERIFYING, State.SETTLING})
"""States in which tasks exist; a holder that registers now gets its share."""

LEASABLE = frozenset({TaskState.OFFERED, TaskState.LEASED})
"""Task states in which the holder may have the identifiers (a task that is merely late is leased as well)."""

SETTLEABLE = frozenset({TaskState.OFFERED, TaskState.LEASED, TaskState.BLOCKED})
"""Task states that a receipt ends. A planned task cannot be proved: its phase has not opened."""

STOPPABLE = frozenset({TaskState.OFFERED, TaskState.LEASED})
"""Task states that switching a holder off blocks."""


class Move(StrEnum):
    """Steps of a request before its tasks decide."""

    DOUBT = "DOUBT"
    PROVE = "PROVE"
    ACCEPT = "ACCEPT"
    DENY = "DENY"
    WITHDRAW = "WITHDRAW"
    EXPIRE = "EXPIRE"


# WITHDRAW ends with acceptance: from then on the erasure ledger names the person and holders refuse their data.
_BEFORE = frozenset({State.RECEIVED, State.IDENTITY_PENDING, State.TRIAGE})
_MOVES: Mapping[Move, tuple[frozenset[State], State]] = {
    Move.DOUBT: (frozenset({State.RECEIVED}), State.IDENTITY_PENDING),
    Move.PROVE: (frozenset({State.RECEIVED, State.IDENTITY_PENDING}), State.TRIAGE),
    Move.ACCEPT: (frozenset({State.TRIAGE}), State.ACCEPTED),
    Move.DENY: (_BEFORE, State.DENIED),
    Move.WITHDRAW: (_BEFORE, State.WITHDRAWN),
    Move.EXPIRE: (frozenset({State.IDENTITY_PENDING}), State.EXPIRED),
}


def moved(state: State, move: Move) -> State:
    """The state after `move`.

    Raises:
        DomainError: TRANSITION_NOT_ALLOWED.
    """
    allowed, after = _MOVES[move]
    if state not in allowed:
        raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state=state, step=move)
    return after


def accepted(state: State) -> State:
    """The state of a request that triage accepts, its identity being proved."""
    return moved(waiting(state), Move.ACCEPT)


def waiting(state: State) -> State:
    """The state of a request whose identity is proved and that must wait for something else."""
    return state if state is State.TRIAGE else moved(state, Move.PROVE)


def movable(move: Move) -> frozenset[State]:
    """States in which `move` is allowed."""
    return _MOVES[move][0]


def plan(right: Right, holders: Iterable[str]) -> list[tuple[str, Phase]]:
    """One task per holder and phase."""
    return [(holder, phase) for holder in holders for phase in PHASES[right]]


_DECISIVE: Mapping[Right, frozenset[Outcome]] = {
    Right.ERASURE: frozenset({Outcome.ERASED, Outcome.NOT_HELD, Outcome.RETAINED, Outcome.AWAITING_PROCESSOR}),
    Right.ACCESS: frozenset({Outcome.EXPORTED, Outcome.NOT_HELD}),
    Right.RESTRICTION: frozenset({Outcome.RESTRICTED, Outcome.NOT_HELD}),
    Right.LIFTING: frozenset({Outcome.LIFTED, Outcome.NOT_HELD}),
    Right.CORRECTION: frozenset({Outcome.CORRECTED, Outcome.NOT_HELD}),
    Right.PORTABILITY: frozenset({Outcome.EXPORTED, Outcome.NOT_HELD}),
    Right.OBJECTION: frozenset({Outcome.OPTED_OUT}),
    Right.OPT_OUT: frozenset({Outcome.OPTED_OUT}),
    Right.OPT_IN: frozenset({Outcome.OPTED_IN}),
    Right.CATEGORIES: frozenset({Outcome.DONE}),
    Right.PREVIEW: frozenset({Outcome.DONE}),
}
_PREPARING = frozenset({Phase.FENCE, Phase.SWEEP})


@cache
def provable(right: Right, phase: Phase) -> frozenset[Outcome]:
    """The outcomes that a receipt for this phase may state; none when the right has no such phase."""
    if phase not in PHASES[right]:
        return frozenset()
    return frozenset({Outcome.NEEDS_HUMAN}) | ({Outcome.DONE} if phase in _PREPARING else _DECISIVE[right])


def after_receipt(state: TaskState, outcome: Outcome) -> TaskState:
    """A receipt settles a task once and for all; NEEDS_HUMAN blocks it and never counts as success."""
    if state not in SETTLEABLE:
        return state
    return TaskState.BLOCKED if outcome is Outcome.NEEDS_HUMAN else TaskState.SETTLED


def after_offer(state: TaskState, *, enabled: bool) -> TaskState:
    """A planned task goes to its holder, or waits visibly for a person when the holder is switched off."""
    if state is not TaskState.PLANNED:
        return state
    return TaskState.OFFERED if enabled else TaskState.BLOCKED


def after_retry(state: TaskState) -> TaskState:
    """A person sends a blocked task back: it is planned anew, because its phase may have to wait for a late holder."""
    return TaskState.PLANNED if state is TaskState.BLOCKED else state


def after_stop(state: TaskState) -> TaskState:
    """The holder of the task was switched off."""
    return TaskState.BLOCKED if state in STOPPABLE else state


@dataclass(frozen=True)
class Progress:
    """Where the tasks of a request stand, in figures that one query fetches for many requests."""

    phase: Phase | None
    """The lowest phase with an unsettled task; None when all are settled."""
    planned: bool
    """Whether a task of that phase was not offered yet."""
    blocked: bool
    """Whether a task of any phase needs a person."""
    retained: bool
    """Whether a holder kept something on a legal ground."""
    missing: bool
    """Whether a registered holder has no task, or there is no holder at all: nobody would prove anything."""
    effective_at: datetime | None
    """The latest date that a receipt or the backups ask to wait for."""


@dataclass(frozen=True)
class Standing:
    """One task, as far as progress cares."""

    holder: str
    phase: Phase
    state: TaskState
    outcome: Outcome | None = None
    effective_at: datetime | None = None


def progress(right: Right, tasks: Sequence[Standing], holders: Iterable[str]) -> Progress:
    """What `task_store.progress` computes in SQL, said in Python."""
    unsettled = [task for task in tasks if task.state is not TaskState.SETTLED]
    phase = next((phase for phase in PHASES[right] if any(task.phase is phase for task in unsettled)), None)
    dates = [task.effective_at for task in tasks if task.effective_at is not None]
    expected = set(plan(right, holders))
    return Progress(
        phase=phase,
        planned=any(task.phase is phase and task.state is TaskState.PLANNED for task in unsettled),
        blocked=any(task.state is TaskState.BLOCKED for task in tasks),
        retained=any(task.outcome is Outcome.RETAINED for task in tasks),
        missing=not tasks or not expected <= {(task.holder, task.phase) for task in tasks},
        effective_at=max(dates, default=None),
    )


@dataclass(frozen=True)
class Step:
    """What a request does next: its state, the phase to offer now, whether a person must look."""

    state: State
    offer: Phase | None
    blocked: bool


def advance(state: State, done: Progress, now: datetime) -> Step:
    """The next step of a request whose tasks stand at `done`. Final states stay; a late holder pulls back."""
    if state not in RUNNING:
        return Step(state, None, blocked=False)
    if done.phase is not None:
        return Step(_STATES[done.phase], done.phase if done.planned else None, done.blocked)
    if done.missing:
        return Step(state, None, blocked=True)
    if done.effective_at is not None and done.effective_at > now:
        return Step(State.SETTLING, None, blocked=False)
    return Step(State.FULFILLED_IN_PART if done.retained else State.FULFILLED, None, blocked=False)
