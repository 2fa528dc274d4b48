"""What OSIRAA, the public test agent of the Data Rights Protocol, looks at, and exactly where it will complain.

Its checks, in our own words, after its reporting module (github.com/consumer-reports-innovation-lab/osiraa; versions
0.7 to 0.9 could be read). What it complains about without a reason in the protocol's text stands in ADR 0012.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from igstats.privacy.v1.request_pb2 import RequestState

from tests.integration.gateway import test_drp as drp
from tests.integration.gateway.test_drp import Agent

Said = dict[str, Any]
RIGHTS = ("access", "access:categories", "access:specific", "deletion", "sale:opt_out", "sale:opt_in")
STATUSES = frozenset({"open", "in_progress", "fulfilled", "denied", "revoked", "expired"})
REASONS = frozenset(
    {"need_verification", "suspected_fraud", "insufficient_verification", "no_match", "claim_not_covered"}
    | {"too_many_requests", "outside_jurisdiction", "other", "none"}
)
FIELDS = frozenset({"request_id", "received_at", "expected_by", "status", "reason"})
FIELDS |= {"processing_details", "user_verification_url"}
# As datetime.fromisoformat of Python 3.10 reads it, which knows no Z.
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?([+-]\d\d:\d\d)?")


def _time(name: str) -> Callable[[Said], bool]:
    return lambda said: ISO.fullmatch(str(said.get(name))) is not None


CHECKS: dict[str, Callable[[Said], bool]] = {
    "has request_id, received_at and status": lambda said: {"request_id", "received_at", "status"} <= set(said),
    "request_id is not empty": lambda said: bool(said["request_id"]),
    "received_at is a time": _time("received_at"),
    "expected_by is a time": _time("expected_by"),
    "status is of the list": lambda said: said["status"] in STATUSES,
    "user_verification_url is an address": lambda said: said.get("user_verification_url", "https://").startswith(
        "https://"
    ),
    "reason is of the list": lambda said: said.get("reason") in REASONS,
    "open has a reason, which is null": lambda said: said["status"] != "open" or said.get("reason", "") is None,
    "expires_at is a time": _time("expires_at"),
    "no field that it does not know": lambda said: set(said) <= FIELDS,
    "fulfilled says where the results are, and until when": lambda said: (
        said["status"] != "fulfilled" or {"results_url", "expires_at"} <= set(said)
    ),
    "what has ended says final": lambda said: said["status"] in {"open", "in_progress"} or said.get("final") == "true",
}
# By state: where it complains. The numbers are the lines of its table in ADR 0012.
EXPECTED = {
    "RECEIVED": {
        "reason is of the list",  # 2
        "open has a reason, which is null",  # 2
        "expires_at is a time",  # 3
    },
    "IDENTITY_PENDING": {
        "reason is of the list",  # 1
        "no field that it does not know",  # 3: expires_at
    },
    "EXECUTING": {
        "reason is of the list",  # 2
        "expires_at is a time",  # 3
    },
    "FULFILLED": {
        "reason is of the list",  # 2
        "no field that it does not know",  # 3 and 9: expires_at, results_url
        "what has ended says final",  # 5
    },
    "DENIED": {"no field that it does not know", "what has ended says final"},  # 3, 5
    "WITHDRAWN": {"reason is of the list", "no field that it does not know", "what has ended says final"},  # 2, 3, 5
}


def complaints(said: Said) -> set[str]:
    """The checks that an Exercise Status object does not pass."""
    return {name for name, passes in CHECKS.items() if not passes(said)}


@pytest.fixture
def partners_file(tmp_path: Path, partner: Any) -> Path:
    found = {"id": "CR_AGENT", "verify_key": drp.public(drp.KEY), "callback_hosts": [partner.host]}
    other = {"id": "OTHER", "verify_key": drp.public(drp.OTHER)}
    file = tmp_path / "partners.json"
    file.write_text(json.dumps({"drp": {"business_id": drp.BUSINESS, "agents": [found, other]}}))
    return file


@pytest_asyncio.fixture(loop_scope="session")
async def agent(gateway: Any) -> Agent:
    made = Agent(gateway.http)
    await made.enrol()
    return made


async def test_every_right_under_either_regime_is_answered_with_a_status_object(agent: Agent) -> None:
    names = set()
    for right in RIGHTS:
        for regime in ("ccpa", "voluntary", None):
            status, said = await agent.exercise(exercise=right, regime=regime)
            assert (status, said["status"]) == (200, "open"), (right, regime)
            assert complaints(said) == EXPECTED["RECEIVED"], (right, regime)
            names.add(said["request_id"])
    assert len(names) == 3 * len(RIGHTS), "every request has an id of its own"


@pytest.mark.parametrize("state", EXPECTED)
async def test_it_complains_about_a_status_where_the_adr_says_and_nowhere_else(
    agent: Agent,
    gateway: Any,
    state: str,
) -> None:
    _, opened = await agent.exercise()
    request = gateway.others.doorkeeper.requests[f"{1:052d}"]
    request.state = RequestState.Value(f"REQUEST_STATE_{state}")
    if state in {"FULFILLED", "DENIED", "WITHDRAWN"}:
        request.closed_time.FromDatetime(gateway.others.doorkeeper.received_at)
    request.reason = "NO_MATCH" if state == "DENIED" else ""
    status, body = await agent.call("GET", f"/v1/data-rights-request/{opened['request_id']}")
    said = json.loads(body)
    assert (status, said["request_id"]) == (200, opened["request_id"])
    assert complaints(said) == EXPECTED[state]


async def test_revoking_answers_the_new_state(agent: Agent) -> None:
    _, opened = await agent.exercise()
    path = f"/v1/data-rights-request/{opened['request_id']}"
    status, body = await agent.call("DELETE", path, agent.signed({"reason": "I want to keep my account."}))
    said = json.loads(body)
    assert (status, said["status"], said["request_id"]) == (200, "revoked", opened["request_id"])
    assert complaints(said) == EXPECTED["WITHDRAWN"]


async def test_setting_up_keys_answers_agent_and_token_and_a_failure_is_403_without_a_body(agent: Agent) -> None:
    status, body = await agent.call("POST", f"/v1/agent/{agent.name}", agent.signed(agent.claims()))
    said = json.loads(body)
    assert (status, set(said), said["agent-id"]) == (200, {"agent-id", "token"}, agent.name)
    assert await agent.call("POST", f"/v1/agent/{agent.name}", b"AAAA" + agent.signed(agent.claims())) == (403, b"")
    assert await agent.call("GET", f"/v1/agent/{agent.name}", token=said["token"]) == (200, b"{}")
    assert (await agent.call("GET", "/v1/agent/OTHER", token=said["token"]))[0] == 403
