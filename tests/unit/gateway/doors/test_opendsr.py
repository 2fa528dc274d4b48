"""OpenDSR: what a controller may ask, what we sign, and that the signature is one that a controller can check."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as curve_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.dealing import Callback, Dealing
from igstats_gateway.doors.model import FINAL, Identifier, Kind, Opened, Regime, Right, State, Status
from igstats_gateway.doors.opendsr import request
from igstats_gateway.doors.opendsr.names import V1, V2, Names
from igstats_gateway.doors.opendsr.signing import Signer
from igstats_gateway.doors.opendsr.status import Words
from igstats_kit.errors import DomainError, Reason

DOMAIN = "dsr.example.com"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ID = "a7551968-d5d6-44b2-9831-815ac9017798"
BODY: dict[str, Any] = {
    "regulation": "gdpr",
    "subject_request_id": ID,
    "subject_request_type": "erasure",
    "submitted_time": "2018-10-02T15:00:00Z",
    "subject_identities": [
        {"identity_type": "email", "identity_value": "johndoe@example.com", "identity_format": "raw"}
    ],
    "api_version": "2.0",
    "status_callback_urls": ["https://controller.example/opendsr_callbacks"],
    "extensions": {"example-other-processor.com": {"foo": 654321}},
}
KEY = generate_private_key(65537, 2048)


def certificate(key: RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=3650))
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


def pem(key: Any) -> bytes:
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return found


SIGNER = Signer(pem(KEY), certificate(KEY))
WORDS = Words(V2, SIGNER, DOMAIN, "https://api.example.com")
REQUEST = Opened("req_1", "7K2Q", "code52", Right.ERASURE, State.RECEIVED, "opendsr", NOW, NOW + timedelta(days=30))
DEALING = Dealing("opendsr", "shop", ID, "req_1", "code52", NOW)


def read(names: Names = V2, **change: Any) -> request.Asked:
    body = {name: value for name, value in (BODY | change).items() if value is not ...}
    return request.read(json.dumps(body).encode(), names, DOMAIN, "shop.example", verifies=True)


def require_signed(body: bytes, signature: str) -> None:
    """As a controller checks it: with the public key of the certificate that discovery names."""
    key = x509.load_pem_x509_certificate(SIGNER.certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(signature), body, PKCS1v15(), SHA256())


def test_the_example_of_the_specification_is_read() -> None:
    asked = read()
    assert (asked.subject_request_id, asked.wish.right, asked.wish.regime) == (ID, Right.ERASURE, Regime.GDPR)
    assert asked.wish.identifiers == (Identifier(Kind.EMAIL, "johndoe@example.com"),)
    assert asked.wish.identity_proof == "OpenDSR controller shop.example: mail address verified"
    assert asked.callbacks == ("https://controller.example/opendsr_callbacks",)


def test_a_hashed_address_is_an_identifier_of_its_own() -> None:
    hashed = {"identity_type": "email", "identity_value": "AB" * 32, "identity_format": "sha256"}
    assert read(subject_identities=[hashed]).wish.identifiers == (Identifier(Kind.EMAIL_SHA256, "ab" * 32),)


def test_instagrams_names_stand_under_our_domain_and_are_proved_by_nobodys_word() -> None:
    asked = read(extensions={DOMAIN: {"instagram_user_id": "17841400000000000"}})
    assert asked.wish.identifiers[1] == Identifier(Kind.INSTAGRAM_USER_ID, "17841400000000000")
    assert asked.wish.identity_proof == ""


def test_the_first_version_has_no_regulation_and_means_the_gdpr() -> None:
    assert read(V1, regulation=..., api_version="1.0").wish.regime is Regime.GDPR
    with pytest.raises(DomainError):
        read(regulation=...)


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_a_copy_of_the_data_under_the_ccpa_needs_more_than_a_verified_address(kind: str) -> None:
    assert read(subject_request_type=kind, regulation="ccpa").wish.identity_proof == ""
    assert read(subject_request_type=kind).wish.identity_proof != ""


@pytest.mark.parametrize(
    "change",
    [
        {"subject_request_id": "A7551968-D5D6-44B2-9831-815AC9017798"},
        {"subject_request_id": "a7551968-d5d6-14b2-9831-815ac9017798"},
        {"subject_request_id": ...},
        {"subject_request_type": "rectification"},
        {"subject_request_type": ["erasure"]},
        {"regulation": "lgpd"},
        {"submitted_time": "yesterday"},
        {"submitted_time": "2018-10-02"},
        {"submitted_time": "2018-13-02T15:00:00Z"},
        {"submitted_time": ...},
        {"api_version": "1.0"},
        {"api_version": 2},
        {"subject_identities": ...},
        {"subject_identities": []},
        {"subject_identities": "johndoe@example.com"},
        {"subject_identities": ["johndoe@example.com"]},
        {"subject_identities": [BODY["subject_identities"][0]] * 21},
        {"status_callback_urls": "https://controller.example/"},
        {"status_callback_urls": [1]},
        {"status_callback_urls": ["https://controller.example/"] * 6},
        {"extensions": []},
        {"extensions": {DOMAIN: {"password": "x"}}},
        {"extensions": {DOMAIN: {"instagram_user_id": 17}}},
    ],
)
def test_what_breaks_a_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DomainError) as refused:
        read(**change)
    assert refused.value.reason is Reason.FIELD_INVALID
    assert "johndoe" not in str(refused.value.violations)


@pytest.mark.parametrize(
    ("kind", "format_", "value"),
    [
        ("email", "sha1", "ab" * 20),
        ("email", "md5", "ab" * 16),
        ("email", "sha256", "ab" * 31),
        ("email", "sha256", "zz" * 32),
        ("email", "raw", "nobody"),
        ("email", "raw", "b@[.x"),
        ("ios_advertising_id", "raw", "7b5a0e6b"),
        ("controller_customer_id", "raw", "7"),
        (["email"], "raw", "a@b.c"),
        ("email", None, "a@b.c"),
    ],
)
def test_an_identity_that_discovery_does_not_list_is_refused(kind: Any, format_: Any, value: str) -> None:
    identity = {"identity_type": kind, "identity_format": format_, "identity_value": value}
    with pytest.raises(DomainError) as refused:
        read(subject_identities=[identity])
    assert refused.value.reason is Reason.FIELD_INVALID


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text("ab:@-", max_size=8), st.lists, max_leaves=4)


@given(st.dictionaries(st.sampled_from(sorted(BODY)), JSON, min_size=1))
def test_arbitrary_bodies_are_read_or_refused_with_a_reason(change: dict[str, Any]) -> None:
    body = json.dumps(BODY | change).encode()
    try:
        asked = request.read(body, V2, DOMAIN, "shop.example", verifies=False)
    except DomainError as error:
        reasons = [error.reason]
    else:
        reasons = [Reason.FIELD_INVALID] if asked.wish.identity_proof else []
    assert reasons in ([], [Reason.FIELD_INVALID])
    assert reasons or set(change) <= {"extensions", "api_version", "status_callback_urls"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a": NaN}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(DomainError) as refused:
        request.read(body, V2, DOMAIN, "shop.example", verifies=True)
    assert refused.value.reason is Reason.BODY_INVALID


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.RECEIVED, "pending"),
        (State.IDENTITY_PENDING, "pending"),
        (State.TRIAGE, "pending"),
        (State.ACCEPTED, "pending"),
        (State.FENCING, "in_progress"),
        (State.EXECUTING, "in_progress"),
        (State.VERIFYING, "in_progress"),
        (State.SETTLING, "in_progress"),
        (State.FULFILLED, "completed"),
        (State.FULFILLED_IN_PART, "completed"),
        (State.DENIED, "cancelled"),
        (State.WITHDRAWN, "cancelled"),
        (State.EXPIRED, "cancelled"),
    ],
)
def test_every_state_has_its_word_and_nothing_unfulfilled_is_called_completed(state: State, word: str) -> None:
    assert state in FINAL or word != "completed"
    assert WORDS.status(DEALING, Status(replace(REQUEST, state=state)))["request_status"] == word


def test_a_callback_is_signed_over_its_bytes_and_names_where_it_went() -> None:
    news = WORDS.tell(DEALING, Status(REQUEST), Callback("https://controller.example/told"))
    assert json.loads(news.body) == {
        "controller_id": "shop",
        "expected_completion_time": "2026-07-31T12:00:00Z",
        "subject_request_id": ID,
        "request_status": "pending",
        "api_version": "2.0",
        "status_callback_url": "https://controller.example/told",
    }
    assert news.headers["X-OpenDSR-Processor-Domain"] == DOMAIN
    require_signed(news.body, news.headers["X-OpenDSR-Signature"])


def test_one_changed_byte_breaks_the_signature() -> None:
    with pytest.raises(InvalidSignature):
        require_signed(b"{}", SIGNER.sign(b"{ }"))


def test_the_signature_inside_is_of_the_body_without_it() -> None:
    said = json.loads(WORDS.signed_inside({"b": 1, "a": 2}))
    require_signed(b'{"b":1,"a":2}', said.pop("processor_signature"))
    assert said == {"b": 1, "a": 2}


def test_the_first_version_uses_its_own_names() -> None:
    headers = Words(V1, SIGNER, DOMAIN, "").headers(b"{}")
    assert sorted(headers) == ["X-OpenGDPR-Processor-Domain", "X-OpenGDPR-Signature"]


def test_a_key_that_is_not_the_certificates_stops_the_start() -> None:
    other = generate_private_key(65537, 2048)
    for key in (other, curve_key(SECP256R1())):
        with pytest.raises(ValueError, match="OpenDSR"):
            Signer(pem(key), certificate(KEY))
