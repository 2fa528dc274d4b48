from dataclasses import replace
from datetime import UTC, datetime

import pytest
from igstats_privacy.model import Phase, Request, Right, Shown, State, Task, TaskState
from igstats_privacy.status import words
from igstats_privacy.status.words import Staying

CAME = datetime(2026, 11, 24, tzinfo=UTC)
REQUEST = Request(
    request_id="req_1",
    reference="7K2Q-M4TD",
    right=Right.ERASURE,
    state=State.EXECUTING,
    account_token=b"",
    door="meta",
    identity_proof="",
    received_at=CAME,
    due_at=CAME,
    closed_at=None,
    effective_at=None,
    blocked=False,
    reason="",
)


def task(holder: str, phase: Phase, state: TaskState) -> Task:
    return Task(holder, phase, state, None, None, 1, None, b"")


def test_a_holder_is_done_when_none_of_its_tasks_is_open() -> None:
    tasks = (
        task("stats", Phase.FENCE, TaskState.SETTLED),
        task("stats", Phase.ERASE, TaskState.SETTLED),
        task("audit", Phase.FENCE, TaskState.SETTLED),
        task("audit", Phase.ERASE, TaskState.BLOCKED),
    )
    assert words.counted(Shown(REQUEST, overdue=False, tasks=tasks)) == (1, 2)


def test_what_stays_is_told_once_with_ground_date_and_ways_to_complain() -> None:
    kept = Staying("gateway", "billing_details", "legal_obligation", CAME)
    (found,) = words.reasons(Shown(REQUEST, overdue=False), [kept, kept])
    assert found.about == "billing details (gateway)"
    assert "until 2026-11-24" in found.explanation
    assert words.COMPLAINT in found.explanation


@pytest.mark.parametrize("ground", ["NO_MATCH", "MANIFESTLY_UNFOUNDED", "", "SOMETHING_NEW"])
def test_a_refusal_always_has_a_reason_and_ways_to_complain(ground: str) -> None:
    denied = replace(REQUEST, state=State.DENIED, reason=ground)
    (found,) = words.reasons(Shown(denied, overdue=False), [])
    assert found.explanation.startswith("We refused it because ")
    assert words.COMPLAINT in found.explanation


def test_proof_is_asked_for_only_while_it_helps() -> None:
    methods = ("mail_code",)
    assert words.provable(Shown(REQUEST, overdue=False), methods) == methods
    proved, ended = replace(REQUEST, identity_proof="account"), replace(REQUEST, state=State.EXPIRED)
    assert not words.provable(Shown(proved, overdue=False), methods)
    assert not words.provable(Shown(ended, overdue=False), methods)
