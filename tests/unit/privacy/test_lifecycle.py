import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import START
from igstats_privacy import lifecycle
from igstats_privacy.lifecycle import PHASES, Move, Progress, Standing, advance, moved, progress, provable
from igstats_privacy.model import Outcome, Phase, Right, State, TaskState


def test_an_erasure_fences_before_it_erases_and_attests_last() -> None:
    assert PHASES[Right.ERASURE] == (Phase.FENCE, Phase.ERASE, Phase.SWEEP, Phase.ATTEST)


@pytest.mark.parametrize("right", Right)
def test_every_right_ends_with_an_attestation(right: Right) -> None:
    assert PHASES[right][-1] is Phase.ATTEST


def test_the_plan_has_one_task_per_holder_and_phase() -> None:
    assert lifecycle.plan(Right.ACCESS, ["a", "b"]) == [
        ("a", Phase.EXPORT),
        ("a", Phase.ATTEST),
        ("b", Phase.EXPORT),
        ("b", Phase.ATTEST),
    ]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("move", Move)
def test_a_step_is_either_taken_or_refused_with_the_state(state: State, move: Move) -> None:
    if state in lifecycle.movable(move):
        assert moved(state, move) is not state
    else:
        with pytest.raises(DomainError) as refused:
            moved(state, move)
        assert refused.value.reason is Reason.TRANSITION_NOT_ALLOWED
        assert refused.value.metadata["state"] == state


@pytest.mark.parametrize("state", sorted(lifecycle.FINAL))
def test_nothing_leaves_a_final_state(state: State) -> None:
    assert all(state not in lifecycle.movable(move) for move in Move)
    anything = Progress(Phase.FENCE, planned=True, blocked=True, retained=True, missing=True, effective_at=None)
    assert advance(state, anything, START).state is state


def test_a_request_is_taken_back_before_acceptance_only() -> None:
    assert lifecycle.movable(Move.WITHDRAW).isdisjoint(lifecycle.RUNNING)


@pytest.mark.parametrize("right", Right)
def test_only_phases_of_the_right_can_be_proved(right: Right) -> None:
    assert {phase for phase in Phase if provable(right, phase)} == set(PHASES[right])


def test_no_receipt_may_say_that_erasing_was_merely_done() -> None:
    assert Outcome.DONE not in provable(Right.ERASURE, Phase.ERASE)
    assert Outcome.ERASED not in provable(Right.ERASURE, Phase.FENCE)


def test_a_request_without_any_holder_waits_visibly() -> None:
    step = advance(State.ACCEPTED, progress(Right.ERASURE, [], []), START)
    assert (step.state, step.offer, step.blocked) == (State.ACCEPTED, None, True)


def test_what_is_retained_makes_the_request_fulfilled_in_part() -> None:
    tasks = [
        Standing(holder, phase, TaskState.SETTLED, Outcome.RETAINED if holder == "gateway" else Outcome.ERASED)
        for holder, phase in lifecycle.plan(Right.ERASURE, ["gateway", "stats"])
    ]
    step = advance(State.VERIFYING, progress(Right.ERASURE, tasks, ["gateway", "stats"]), START)
    assert step.state is State.FULFILLED_IN_PART
