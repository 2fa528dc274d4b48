"""Signed messages of the Data Rights Protocol: the published vector, and everything that is not one."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.drp import message
from igstats_kit.errors import DomainError, Reason

SEED = bytes(range(32))
VERIFY_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
MESSAGE = b'{"reason": "changed my mind"}'
VECTOR = (
    b"tO9iYH+yDPRgyuYGxmANAwUPxhjxsfwsliXP/OsakxwfeXI1ObtBYDhG98BM/RPP/C4RFsyu6WFFeuY5M1p/"
    b"BXsicmVhc29uIjogImNoYW5nZWQgbXkgbWluZCJ9"
)
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
CLAIMS = {
    "agent-id": "CR_AGENT",
    "business-id": "EXAMPLE",
    "issued-at": "2026-07-01T11:59:00+00:00",
    "expires-at": "2026-07-01T12:10:00Z",
    "drp.version": "1.0",
}


def signed(content: bytes, seed: bytes = SEED) -> bytes:
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(content) + content)


def refused(call: Any, *given: Any) -> Reason:
    with pytest.raises(DomainError) as error:
        call(*given)
    return error.value.reason


def test_the_published_vector_opens() -> None:
    assert message.opened(VECTOR, VERIFY_KEY) == MESSAGE
    assert signed(MESSAGE) == VECTOR


def test_a_line_feed_at_the_end_does_no_harm() -> None:
    assert message.opened(VECTOR + b"\n", VERIFY_KEY) == MESSAGE


@given(st.integers(0, len(base64.b64decode(VECTOR)) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(place: int, change: int) -> None:
    raw = bytearray(base64.b64decode(VECTOR))
    raw[place] ^= change
    assert refused(message.opened, base64.b64encode(raw), VERIFY_KEY) is Reason.SIGNED_REQUEST_INVALID


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_and_nothing_else_happens(body: bytes) -> None:
    assert refused(message.opened, body, VERIFY_KEY) in {Reason.BODY_INVALID, Reason.SIGNED_REQUEST_INVALID}


@pytest.mark.parametrize("body", [b"", b"!", VECTOR[:-1], VECTOR[:80], MESSAGE, VECTOR.replace(b"+", b"-")])
def test_what_is_no_base64_of_a_signature_is_told_apart(body: bytes) -> None:
    assert refused(message.opened, body, VERIFY_KEY) is Reason.BODY_INVALID


def test_the_key_of_another_agent_opens_nothing() -> None:
    assert refused(message.opened, signed(MESSAGE, b"\1" * 32), VERIFY_KEY) is Reason.SIGNED_REQUEST_INVALID


@pytest.mark.parametrize("content", [b"", b"[]", b'"a"', b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    assert refused(message.read, content) is Reason.BODY_INVALID


def test_a_message_for_us_that_is_in_force_passes() -> None:
    message.require_valid(CLAIMS, "CR_AGENT", "EXAMPLE", NOW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agent-id": "OTHER"}, Reason.AGENT_UNKNOWN),
        ({"agent-id": ["CR_AGENT"]}, Reason.AGENT_UNKNOWN),
        ({"business-id": "OTHER"}, Reason.FIELD_INVALID),
        ({"issued-at": "2026-07-01T12:00:01+00:00"}, Reason.FIELD_INVALID),
        ({"issued-at": 1}, Reason.FIELD_INVALID),
        ({"issued-at": "2026-07-01T11:59:00"}, Reason.FIELD_INVALID),
        ({"expires-at": "2026-07-01T12:00:00+00:00"}, Reason.FIELD_INVALID),
        ({"expires-at": None}, Reason.FIELD_INVALID),
        ({"expires-at": "soon"}, Reason.FIELD_INVALID),
        ({"drp.version": "0.9.4"}, Reason.FIELD_INVALID),
        ({"drp.version": 1.0}, Reason.FIELD_INVALID),
    ],
)
def test_each_claim_alone_can_stop_a_message(change: dict[str, Any], reason: Reason) -> None:
    assert refused(message.require_valid, CLAIMS | change, "CR_AGENT", "EXAMPLE", NOW) is reason


@pytest.mark.parametrize("missing", CLAIMS)
def test_a_missing_claim_stops_a_message(missing: str) -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != missing}
    expected = Reason.AGENT_UNKNOWN if missing == "agent-id" else Reason.FIELD_INVALID
    assert refused(message.require_valid, claims, "CR_AGENT", "EXAMPLE", NOW) is expected


def test_the_order_of_the_checks_is_the_protocols() -> None:
    wrong: dict[str, Any] = {}
    said = []
    for name in ("agent-id", "business-id", "issued-at", "expires-at", "drp.version"):
        with pytest.raises(DomainError) as error:
            message.require_valid(wrong, "CR_AGENT", "EXAMPLE", NOW)
        said.append(error.value.violations[0].field if error.value.violations else "agent-id")
        wrong[name] = CLAIMS[name]
    assert said == ["agent-id", "business-id", "issued-at", "expires-at", "drp.version"]


@given(st.timedeltas(timedelta(days=-3), timedelta(days=3)), st.timedeltas(timedelta(days=-3), timedelta(days=3)))
def test_a_message_is_in_force_from_its_first_moment_until_before_its_last(
    issued: timedelta, expires: timedelta
) -> None:
    claims = CLAIMS | {"issued-at": (NOW + issued).isoformat(), "expires-at": (NOW + expires).isoformat()}
    in_force = issued <= timedelta(0) < expires
    if in_force:
        message.require_valid(claims, "CR_AGENT", "EXAMPLE", NOW)
    else:
        assert refused(message.require_valid, claims, "CR_AGENT", "EXAMPLE", NOW) is Reason.FIELD_INVALID


@pytest.mark.parametrize("value", [7, ["a"], "a" * 11, "a\nb", {"a": 1}, True])
def test_a_claim_that_is_no_short_line_of_text_is_refused(value: object) -> None:
    assert refused(message.text, {"note": value}, "note", 10) is Reason.FIELD_INVALID


def test_the_signed_text_is_what_is_read() -> None:
    assert message.read(message.opened(signed(json.dumps(CLAIMS).encode()), VERIFY_KEY)) == CLAIMS
