"""Ketch's forwarder: what a tenant may forward, and what is said of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.dealing import Callback, Dealing
from igstats_gateway.doors.ketch import request
from igstats_gateway.doors.ketch.status import Words
from igstats_gateway.doors.model import (
    Correction,
    Identifier,
    Justification,
    Kind,
    Opened,
    Regime,
    Right,
    State,
    Status,
)
from igstats_kit.errors import DomainError, Reason

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
UID = "22880925-aac5-42f9-a653-cb6921d361ff"
IDENTITY = {"identitySpace": "email", "identityFormat": "raw", "identityValue": "test@subject.com"}
REQUEST: dict[str, Any] = {
    "controller": "axonic",
    "property": "axonic.io",
    "environment": "production",
    "regulation": "gdpr",
    "jurisdiction": "eugdpr",
    "identities": [IDENTITY],
    "callbacks": [{"url": "https://dsr.ketch.com/callback", "headers": {"Authorization": "$auth"}}],
    "subject": {"email": "test@subject.com", "firstName": "Test", "description": "Delete my data"},
    "submittedTimestamp": 123,
    "dueTimestamp": 123,
}
BODY = {
    "apiVersion": "dsr/v1",
    "kind": "DeleteRequest",
    "metadata": {"uid": UID, "tenant": "axonic"},
    "request": REQUEST,
}
WORDS = Words("https://api.example.com")
OPENED = Opened("req_1", "7K2Q", "code52", Right.ERASURE, State.RECEIVED, "ketch", NOW, NOW + timedelta(days=30))
DEALING = Dealing("ketch", "axonic", UID, "req_1", "code52", NOW)


def read(kind: str = "DeleteRequest", **change: Any) -> request.Forwarded:
    body = BODY | {"kind": kind, "request": REQUEST | change}
    return request.read(json.dumps(body).encode(), "axonic", verifies=True)


def test_the_example_of_the_documentation_is_read() -> None:
    found = read()
    assert (found.uid, found.wish.right, found.wish.regime) == (UID, Right.ERASURE, Regime.GDPR)
    assert found.wish.identifiers == (Identifier(Kind.EMAIL, "test@subject.com"),)
    assert found.wish.identity_proof == "Ketch tenant axonic: mail address verified"
    assert found.callbacks == (Callback("https://dsr.ketch.com/callback", {"Authorization": "$auth"}),)


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("AccessRequest", Right.ACCESS),
        ("DeleteRequest", Right.ERASURE),
        ("RestrictProcessingRequest", Right.RESTRICTION),
    ],
)
def test_every_kind_is_a_right(kind: str, right: Right) -> None:
    assert read(kind).wish.right is right


@pytest.mark.parametrize(
    ("code", "regime"),
    [("gdpreu", Regime.GDPR), ("ccpaca", Regime.CCPA), ("CPRA", Regime.CCPA), ("lgpd", Regime.UNSPECIFIED)],
)
def test_the_regulation_is_recognised_or_left_to_the_stricter_law(code: str, regime: Regime) -> None:
    assert read(regulation=code).wish.regime is regime


def test_a_correction_names_fields_in_its_form_and_free_text_is_not_acted_upon() -> None:
    form = {"contacts.name": "Ann", "customFormField1": "foo"}
    assert read("CorrectionRequest", subject={"formData": form}).wish.corrections == (
        Correction("contacts.name", "Ann"),
    )
    with pytest.raises(DomainError) as refused:
        read("CorrectionRequest")
    assert refused.value.violations[0].field == "subject.formData"


@pytest.mark.parametrize("space", ["account_id", "contact_id", "instagram_user_id", "instagram_username"])
def test_names_other_than_an_address_are_taken_but_proved_by_nobodys_word(space: str) -> None:
    wish = read(identities=[IDENTITY, {"identitySpace": space, "identityValue": "x1"}]).wish
    assert (len(wish.identifiers), wish.identity_proof) == (2, "")


@pytest.mark.parametrize(
    "change",
    [
        {"identities": []},
        {"identities": None},
        {"identities": ["x"]},
        {"identities": [IDENTITY | {"identityFormat": "md5"}]},
        {"identities": [IDENTITY | {"identityFormat": "sha1"}]},
        {"identities": [IDENTITY | {"identitySpace": "cookie"}]},
        {"identities": [IDENTITY | {"identityValue": "nobody"}]},
        {"identities": [IDENTITY] * 21},
        {"regulation": None},
        {"regulation": 7},
        {"callbacks": "https://dsr.ketch.com"},
        {"callbacks": [{"headers": {}}]},
        {"callbacks": [{"url": "https://dsr.ketch.com", "headers": {"a b": "c"}}]},
        {"callbacks": [{"url": "https://dsr.ketch.com", "headers": {"a": "c\r\nx: y"}}]},
        {"callbacks": [{"url": "https://dsr.ketch.com"}] * 6},
    ],
)
def test_what_breaks_a_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DomainError) as refused:
        read(**change)
    assert refused.value.reason is Reason.FIELD_INVALID


@pytest.mark.parametrize(
    "change",
    [
        {"apiVersion": "dsr/v2"},
        {"kind": "ConsentRequest"},
        {"kind": 7},
        {"metadata": {"uid": UID, "tenant": "other"}},
        {"metadata": {"tenant": "axonic"}},
        {"metadata": None},
        {"request": None},
    ],
)
def test_an_envelope_that_is_not_the_tenants_own_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DomainError) as refused:
        request.read(json.dumps(BODY | change).encode(), "axonic", verifies=True)
    assert refused.value.reason is Reason.FIELD_INVALID


@given(
    st.dictionaries(st.sampled_from(sorted(REQUEST)), st.none() | st.integers() | st.lists(st.text("ab@", max_size=4)))
)
def test_arbitrary_requests_are_read_or_refused_with_a_reason(change: dict[str, Any]) -> None:
    reasons = []
    try:
        read(**change)
    except DomainError as error:
        reasons.append(error.reason)
    assert reasons in ([], [Reason.FIELD_INVALID])
    assert reasons or not {"identities", "regulation"} & set(change)


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (State.RECEIVED, "", ("pending", "unknown")),
        (State.IDENTITY_PENDING, "", ("pending", "need_user_verification")),
        (State.ACCEPTED, "", ("pending", "unknown")),
        (State.EXECUTING, "", ("in_progress", "unknown")),
        (State.SETTLING, "", ("in_progress", "unknown")),
        (State.FULFILLED, "", ("completed", "executed")),
        (State.FULFILLED_IN_PART, "", ("completed", "executed")),
        (State.DENIED, "NO_MATCH", ("denied", "no_match")),
        (State.DENIED, "MANIFESTLY_UNFOUNDED", ("denied", "unknown")),
        (State.WITHDRAWN, "", ("cancelled", "unknown")),
        (State.EXPIRED, "", ("denied", "insufficient_verification")),
    ],
)
def test_every_state_has_its_words(state: State, reason: str, said: tuple[str, str]) -> None:
    found = WORDS.response(DEALING, Status(replace(OPENED, state=state, reason=reason)))["response"]
    assert (found["status"], found["reason"]) == said
    assert ("redirectUrl" in found) == (state is State.IDENTITY_PENDING)


def test_an_event_says_what_a_response_says_under_its_own_name() -> None:
    status = Status(OPENED, justifications=(Justification("invoices", "legal_obligation", ""),))
    event, response = json.loads(WORDS.tell(DEALING, status, Callback("x")).body), WORDS.response(DEALING, status)
    assert (event["kind"], response["kind"]) == ("DeleteStatusEvent", "DeleteResponse")
    assert event["event"] == response["response"]
    assert event["metadata"] == {"uid": UID, "tenant": "axonic"}
    assert event["event"]["resultMessage"] == "invoices: legal_obligation."


def test_a_suite_is_told_until_when_the_time_was_extended_and_why() -> None:
    longer = replace(OPENED, extended_at=OPENED.received_at, extension_reasons="It is much.")
    said = WORDS.response(DEALING, Status(longer))["response"]["resultMessage"]
    assert said == f"The time to answer was extended until {OPENED.due_at:%Y-%m-%d}. It is much."
    assert "resultMessage" not in WORDS.response(DEALING, Status(OPENED))["response"]
