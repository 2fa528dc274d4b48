"""The IAB's nested tokens, made here by hand from the framework's text, and every way in which they can be wrong."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.iab import tokens
from igstats_gateway.doors.iab.tokens import RefusedError, Result
from igstats_gateway.doors.model import Identifier, Kind
from igstats_gateway.doors.partners import Party

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SUB = {"identifierValue": "ab" * 32, "identifierType": "email", "identifierFormat": "sha256"}
PUBLISHER, VENDOR = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(key: EllipticCurvePrivateKey, kid: str) -> dict[str, str]:
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point.x.to_bytes(32)), "y": b64(point.y.to_bytes(32))}


PARTIES = (
    Party(id="publisher.example", keys=(jwk(PUBLISHER, "p1"),), verifies=True),
    Party(id="vendor.example", keys=(jwk(VENDOR, "v1"),)),
)


def token(claims: object, key: EllipticCurvePrivateKey, kid: str | None = None, alg: str = "ES256") -> str:
    header = {"typ": "JWT", "alg": alg} | ({"kid": kid} if kid else {})
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def claims(issuer: str, **change: Any) -> dict[str, Any]:
    made = {"version": "1.0", "jti": f"{issuer}-1", "iss": issuer, "sub": SUB, "iat": int(NOW.timestamp())}
    return {name: value for name, value in (made | change).items() if value is not ...}


def id_jwt(**change: Any) -> str:
    return token(claims("publisher.example", **change), PUBLISHER, "p1")


def rq_jwt(inner: object = None, **change: Any) -> str:
    return token(claims("vendor.example", **{"idJWT": inner or id_jwt()} | change), VENDOR, "v1")


def refused(found: str) -> Result:
    with pytest.raises(RefusedError) as error:
        tokens.read(found, PARTIES, NOW)
    return error.value.result


def test_a_request_along_a_chain_is_read() -> None:
    deletion = tokens.read(rq_jwt(), PARTIES, NOW)
    assert (deletion.requester.id, deletion.origin.id) == ("vendor.example", "publisher.example")
    assert (deletion.identifier, deletion.same_identifier) == (Identifier(Kind.EMAIL_SHA256, "ab" * 32), True)


def test_a_first_party_may_be_its_own_requester() -> None:
    own = token(claims("publisher.example", idJWT=id_jwt()), PUBLISHER)
    assert tokens.read(own, PARTIES, NOW).requester.id == "publisher.example"


def test_an_alias_of_an_intermediary_is_known_as_one() -> None:
    assert not tokens.read(rq_jwt(sub={**SUB, "identifierValue": "cd" * 32}), PARTIES, NOW).same_identifier


def test_an_address_in_the_clear_is_supported_too() -> None:
    sub = {"identifierValue": "Ann@example.com", "identifierType": "email", "identifierFormat": "raw"}
    assert tokens.read(rq_jwt(sub=sub), PARTIES, NOW).identifier == Identifier(Kind.EMAIL, "Ann@example.com")


@pytest.mark.parametrize("missing", ["version", "jti", "iss", "sub", "idJWT"])
def test_a_request_without_a_required_field_is_malformed(missing: str) -> None:
    assert refused(rq_jwt(**{missing: ...})) is Result.MALFORMED


@pytest.mark.parametrize("missing", ["version", "jti", "iss", "sub", "iat"])
def test_so_is_one_whose_inner_token_lacks_a_field(missing: str) -> None:
    assert refused(rq_jwt(id_jwt(**{missing: ...}))) is Result.MALFORMED


@pytest.mark.parametrize(
    "change",
    [{"version": "2.0"}, {"jti": ""}, {"jti": 7}, {"jti": "x" * 201}, {"sub": "ann"}, {"idJWT": 7}, {"sub": {}}],
)
def test_so_is_one_whose_fields_have_the_wrong_form(change: dict[str, Any]) -> None:
    assert refused(rq_jwt(**change)) is Result.MALFORMED


@pytest.mark.parametrize(
    "make",
    [
        lambda: token(claims("vendor.example", idJWT=id_jwt()), PUBLISHER, "v1"),
        lambda: token(claims("vendor.example", idJWT=id_jwt()), VENDOR, "other"),
        lambda: token(claims("stranger.example", idJWT=id_jwt()), VENDOR, "v1"),
        lambda: token(claims("vendor.example", idJWT=id_jwt()), VENDOR, "v1", alg="HS256"),
        lambda: token(claims("vendor.example", idJWT=id_jwt()), VENDOR, "v1", alg="none"),
        lambda: rq_jwt(token(claims("publisher.example"), VENDOR, "p1")),
        lambda: rq_jwt(token(claims("publisher.example"), PUBLISHER, "p1", alg="RS256")),
        lambda: rq_jwt(iss=7),
    ],
)
def test_a_signature_that_is_not_the_issuers_is_refused(make: Callable[[], str]) -> None:
    assert refused(make()) is Result.SIGNATURE


def test_a_token_without_signature_is_refused() -> None:
    assert refused(rq_jwt().rpartition(".")[0] + ".") is Result.SIGNATURE


@pytest.mark.parametrize(
    "found",
    ["", "a", "a.b.c", "..", "é.é.é", "{}", pytest.param(token([], VENDOR, "v1"), id="a list"), "x" * 10_000],
)
def test_what_is_no_token_is_refused(found: str) -> None:
    assert refused(found) is Result.TOKEN


@pytest.mark.parametrize("found", ["", "a.b.c", "plain"])
def test_so_is_an_inner_one(found: str) -> None:
    assert refused(rq_jwt(found or "x")) is Result.TOKEN


@pytest.mark.parametrize("kind", ["phone", "idfa", "EMAIL"])
def test_a_type_that_is_not_listed_is_refused(kind: str) -> None:
    assert refused(rq_jwt(sub=SUB | {"identifierType": kind})) is Result.IDENTIFIER_TYPE


@pytest.mark.parametrize(("format_", "value"), [("sha1", "ab" * 20), ("md5", "x"), ("sha256", "ab"), ("raw", "nobody")])
def test_a_format_that_is_not_listed_or_not_kept_is_refused(format_: str, value: str) -> None:
    sub = SUB | {"identifierFormat": format_, "identifierValue": value}
    assert refused(rq_jwt(sub=sub)) is Result.IDENTIFIER_FORMAT


@pytest.mark.parametrize(
    "iat",
    [
        0,
        -1,
        1e300,
        True,
        "now",
        None,
        ...,
        (NOW + timedelta(minutes=3)).timestamp(),
        (NOW - timedelta(days=2)).timestamp(),
    ],
)
def test_a_time_too_far_from_now_is_refused(iat: object) -> None:
    expected = Result.MALFORMED if iat is ... else Result.TIMESTAMP
    assert refused(rq_jwt(iat=iat)) is expected


def test_the_inner_token_may_be_older_but_not_for_ever() -> None:
    old = int((NOW - timedelta(days=20)).timestamp())
    assert tokens.read(rq_jwt(id_jwt(iat=old)), PARTIES, NOW)
    older = int((NOW - timedelta(days=31)).timestamp())
    assert refused(rq_jwt(id_jwt(iat=older))) is Result.TIMESTAMP


@given(st.data())
def test_no_changed_letter_passes(data: st.DataObject) -> None:
    found = rq_jwt()
    place = data.draw(st.integers(0, len(found) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_."))
    changed = found[:place] + letter + found[place + 1 :]
    same = changed == found or _same_signature(found, changed)
    assert same or refused(changed) in {Result.SIGNATURE, Result.TOKEN, Result.MALFORMED}


def _same_signature(one: str, other: str) -> bool:
    """The last letter of base64 has bits that say nothing."""
    (head, _, first), (again, _, second) = one.rpartition("."), other.rpartition(".")
    if head != again or "." in second or len(second) != len(first):
        return False
    return base64.urlsafe_b64decode(first + "==") == base64.urlsafe_b64decode(second + "==")
