"""Where a request stands, in the words of the Data Rights Protocol."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from igstats_gateway.doors.dealing import Callback, Dealing
from igstats_gateway.doors.drp.status import StatusWords
from igstats_gateway.doors.model import FINAL, Justification, Opened, Right, State, Status

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
REQUEST = Opened("req_1", "7K2Q", "code52", Right.ERASURE, State.RECEIVED, "drp", NOW, NOW + timedelta(days=45))
DEALING = Dealing("drp", "CR_AGENT", "0f1e", "req_1", "code52", NOW, reference="A-1")
WORDS = StatusWords("https://api.example.com/")


def said(state: State, **change: object) -> dict[str, object]:
    closed = NOW if state in FINAL else None
    request = replace(REQUEST, state=state, closed_at=closed, **change)  # type: ignore[arg-type]  # a test's shorthand
    return WORDS.of(DEALING, Status(request))


def test_a_request_that_has_just_come_is_open() -> None:
    assert said(State.RECEIVED) == {
        "request_id": "0f1e",
        "agent_request_id": "A-1",
        "received_at": "2026-07-01T12:00:00+00:00",
        "expected_by": "2026-08-15T12:00:00+00:00",
        "status": "open",
    }


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.IDENTITY_PENDING, "in_progress"),
        (State.TRIAGE, "in_progress"),
        (State.ACCEPTED, "in_progress"),
        (State.FENCING, "in_progress"),
        (State.EXECUTING, "in_progress"),
        (State.VERIFYING, "in_progress"),
        (State.SETTLING, "in_progress"),
        (State.FULFILLED, "fulfilled"),
        (State.FULFILLED_IN_PART, "fulfilled"),
        (State.DENIED, "denied"),
        (State.WITHDRAWN, "revoked"),
        (State.EXPIRED, "expired"),
    ],
)
def test_every_state_has_its_word(state: State, status: str) -> None:
    assert said(state)["status"] == status


def test_who_must_prove_the_identity_is_told_where() -> None:
    found = said(State.IDENTITY_PENDING)
    assert found["reason"] == "need_user_verification"
    assert found["user_verification_url"] == "https://api.example.com/privacy/requests/code52"
    assert found["expires_at"] == "2026-08-15T12:00:00+00:00"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("SUSPECTED_FRAUD", "suspected_fraud"),
        ("INSUFFICIENT_VERIFICATION", "insuf_verification"),
        ("NO_MATCH", "no_match"),
        ("CLAIM_NOT_COVERED", "claim_not_covered"),
        ("OUTSIDE_JURISDICTION", "outside_jurisdiction"),
        ("TOO_MANY_REQUESTS", "too_many_requests"),
        ("MANIFESTLY_UNFOUNDED", "other"),
        ("OTHER", "other"),
        ("", "other"),
    ],
)
def test_every_denial_has_a_reason_of_the_protocol(reason: str, word: str) -> None:
    assert said(State.DENIED, reason=reason)["reason"] == word


def test_a_final_record_is_kept_for_sixty_days() -> None:
    assert said(State.FULFILLED)["expires_at"] == "2026-08-30T12:00:00+00:00"


def test_what_stays_and_why_it_takes_longer_is_said_in_words() -> None:
    request = replace(REQUEST, state=State.DENIED, extended_at=NOW, closed_at=NOW, extension_reasons="It is much.")
    found = WORDS.of(DEALING, Status(request, justifications=(Justification("invoices", "legal_obligation", ""),)))
    extended = f"The time to answer was extended until {REQUEST.due_at:%Y-%m-%d}. It is much."
    assert found["processing_details"] == f"invoices: legal_obligation. {extended}"
    assert "processing_details" not in WORDS.of(DEALING, Status(REQUEST))


def test_a_callback_says_what_the_status_says_and_the_same_standing_makes_the_same_bytes() -> None:
    news = [WORDS.tell(DEALING, Status(REQUEST), Callback("https://a.example/x")) for _ in range(2)]
    assert news[0] == news[1]
    assert json.loads(news[0].body) == WORDS.of(DEALING, Status(REQUEST))
