"""The IAB's framework through the real port; tokens are made and checked here by hand."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.holder.v1.identifier_pb2 import IdentifierKind
from yarl import URL

PUBLISHER = generate_private_key(SECP256R1())
SUB = {"identifierValue": "ab" * 32, "identifierType": "email", "identifierFormat": "sha256"}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(claims: dict[str, Any], key: EllipticCurvePrivateKey = PUBLISHER) -> str:
    header = {"alg": "ES256", "kid": "p1"}
    head = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(head.encode(), ECDSA(SHA256())))
    return f"{head}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def _common() -> dict[str, Any]:
    return {"version": "1.0", "iss": "publisher.example", "sub": SUB, "iat": int(time.time())}


def id_jwt(**change: Any) -> str:
    """The first party's token."""
    return signed({**_common(), "jti": "id-1", **change})


def rq_jwt(**change: Any) -> str:
    """A request with the first party's token in it."""
    return signed({**_common(), "jti": "rq-1", "idJWT": id_jwt(), **change})


def own_key() -> bytes:
    """A key for our acknowledgements."""
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def partners_file(tmp_path: Path) -> Path:
    own = tmp_path / "iab.key"
    own.write_bytes(own_key())
    point = PUBLISHER.public_key().public_numbers()
    key = {"kty": "EC", "crv": "P-256", "kid": "p1", "x": b64(point.x.to_bytes(32)), "y": b64(point.y.to_bytes(32))}
    party = {"id": "publisher.example", "keys": [key], "verifies": True}
    iab = {"domain": "example.com", "key": str(own), "key_id": "2026-07", "parties": [party]}
    file = tmp_path / "partners.json"
    file.write_text(json.dumps({"iab": iab}))
    return file


async def described(gateway: Any) -> dict[str, Any]:
    async with gateway.http.get("/dsrdelete.json") as response:
        found: dict[str, Any] = await response.json()
        return found


async def delete(gateway: Any, body: bytes, kind: str = "application/jwt") -> tuple[int, dict[str, Any]]:
    """Sends a request as `dsrdelete.json` says, and checks the acknowledgement with the key that stands there."""
    own = await described(gateway)
    async with gateway.http.post(URL(own["endpoint"]).path, data=body, headers={"content-type": kind}) as response:
        answer = await response.text()
        token = json.loads(answer)["acJWT"] if response.content_type == "application/json" else answer
    head, _, signature = token.rpartition(".")
    (key,) = own["publicKey"]
    x, y = (int.from_bytes(unb64(key[name])) for name in "xy")
    point = EllipticCurvePublicNumbers(x, y, SECP256R1())
    raw = unb64(signature)
    made = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    point.public_key().verify(made, head.encode(), ECDSA(SHA256()))
    assert json.loads(unb64(head.split(".")[0]))["kid"] == key["kid"]
    return response.status, json.loads(unb64(head.split(".")[1]))


async def test_the_file_says_what_is_supported(gateway: Any) -> None:
    found = await described(gateway)
    assert found["vendorScriptRequirement"] is False
    assert {"id": 1, "type": "email", "format": "sha256"} in found["identifiers"]


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_deletion_is_opened_once_and_acknowledged_each_time(gateway: Any, as_json: bool) -> None:  # noqa: FBT001 - a parameter
    token = rq_jwt()
    body, kind = (json.dumps({"rqJWT": token}), "application/json") if as_json else (token, "application/jwt")
    for _ in range(2):
        status, said = await delete(gateway, body.encode(), kind)
        assert (status, said["raResultCode"], said["rqJWT"], said["iss"]) == (202, 0, token, "example.com")
    (sent,) = gateway.others.doorkeeper.openings
    assert (sent.door, sent.identifiers[0].kind) == ("iab", IdentifierKind.IDENTIFIER_KIND_EMAIL_SHA256)
    assert sent.identity_proof == "IAB first party publisher.example: mail address verified"


async def test_an_alias_that_the_first_party_did_not_name_is_proved_by_nobody(gateway: Any) -> None:
    await delete(gateway, rq_jwt(sub=SUB | {"identifierValue": "cd" * 32}).encode())
    assert gateway.others.doorkeeper.openings[0].identity_proof == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (lambda: rq_jwt(idJWT=None), 1),
        (lambda: rq_jwt(iss="stranger.example"), 2),
        (lambda: "no token", 3),
        (lambda: rq_jwt(sub=SUB | {"identifierType": "phone"}), 4),
        (lambda: rq_jwt(sub=SUB | {"identifierFormat": "md5"}), 5),
        (lambda: rq_jwt(iat=0), 6),
    ],
)
async def test_what_is_wrong_is_acknowledged_with_its_code_and_opens_nothing(
    gateway: Any, body: Any, code: int
) -> None:
    status, said = await delete(gateway, body().encode())
    assert (status, said["raResultCode"]) == (400, code)
    assert gateway.others.doorkeeper.openings == []


async def test_the_name_of_a_request_cannot_be_used_for_another(gateway: Any) -> None:
    await delete(gateway, rq_jwt().encode())
    status, said = await delete(gateway, rq_jwt(sub=SUB | {"identifierValue": "cd" * 32}).encode())
    assert (status, said["raResultCode"]) == (400, 1)


async def test_our_own_trouble_is_no_code_of_the_framework(gateway: Any) -> None:
    gateway.others.doorkeeper.down = True
    async with gateway.http.post("/iab/deletions", data=rq_jwt()) as response:
        assert response.status == 503
