"""Our side: the acknowledgement acJWT, and the public key by which anybody checks it."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from igstats_kit.clock import Clock
from jwt.algorithms import ECAlgorithm

from igstats_gateway.doors.iab.tokens import VERSION, Result
from igstats_gateway.doors.partners import DataDeletion

_ALGORITHM = "ES256"


class Acknowledger:
    """Signs with a P-256 key."""

    def __init__(self, settings: DataDeletion, clock: Clock) -> None:
        found = load_pem_private_key(settings.key.read_bytes(), password=None)
        if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
            raise ValueError("the IAB's framework is signed for with a P-256 key")  # noqa: TRY004 - a wrong file
        self._key = found
        self._key_id = settings.key_id
        self._domain = settings.domain
        self._clock = clock

    def sign(self, rq_jwt: str, result: Result, text: str = "") -> str:
        """The acknowledgement of a request."""
        claims: dict[str, Any] = {
            "version": VERSION,
            "rqJWT": rq_jwt,
            "jti": str(uuid4()),
            "iss": self._domain,
            "iat": int(self._clock.now().timestamp()),
            "raResultCode": int(result),
        }
        if text:
            claims["raResultString"] = text
        return jwt.encode(claims, self._key, _ALGORITHM, {"kid": self._key_id})

    def public_key(self) -> Mapping[str, Any]:
        """The key as a JWK."""
        found: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        return {**found, "kid": self._key_id, "use": "sig", "alg": _ALGORITHM}
