"""The two JWTs that ask, idJWT within rqJWT, and what is wrong with them. Pure but for the signatures.

Keys are those that the file of partners lists. The framework would fetch them from the issuer's dsrdelete.json; we do
not, because then whoever names a domain would choose whom we call and whose keys we trust.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

import jwt
from igstats_kit.errors import DomainError

from igstats_gateway.doors import reading
from igstats_gateway.doors.model import Identifier, Kind
from igstats_gateway.doors.partners import Party, by_id

VERSION = "1.0"
ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
IDENTIFIERS = {("email", "sha256"): Kind.EMAIL_SHA256, ("email", "raw"): Kind.EMAIL}
REQUEST_AGE = timedelta(days=1)
"""How old a request may be: transactions are sent when they are made."""
ORIGIN_AGE = timedelta(days=30)
"""How old the first party's token may be: it travels along a chain of requests."""
_SKEW = timedelta(minutes=2)
_MOST_ID = 200
_ONLY_SIGNATURE = {
    "verify_signature": True,
    **dict.fromkeys(
        ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False
    ),
}


class Result(IntEnum):
    """Result codes of the framework."""

    SUCCESSFUL = 0
    MALFORMED = 1
    SIGNATURE = 2
    TOKEN = 3
    IDENTIFIER_TYPE = 4
    IDENTIFIER_FORMAT = 5
    TIMESTAMP = 6


class RefusedError(Exception):
    """Why a request is not accepted, in a code and a text that names no value."""

    def __init__(self, result: Result, text: str) -> None:
        super().__init__(text)
        self.result = result
        self.text = text


@dataclass(frozen=True)
class Token:
    """A token whose signature is its issuer's."""

    issuer: Party
    jti: str
    sub: Mapping[str, Any]
    claims: Mapping[str, Any]


@dataclass(frozen=True)
class Deletion:
    """A request to delete: who asks now, who asked first, and about whom."""

    requester: Party
    origin: Party
    jti: str
    identifier: Identifier
    same_identifier: bool
    """Whether the first party named the person by the same value; an intermediary may use an alias of its own."""


def read(rq_jwt: str, parties: Iterable[Party], now: datetime) -> Deletion:
    """Reads a request: the outer token, the inner one, the identifier.

    Raises:
        RefusedError: Something is wrong with it.
    """
    known = tuple(parties)
    request = opened(rq_jwt, known, now, REQUEST_AGE)
    inner = request.claims.get("idJWT")
    if not isinstance(inner, str):
        raise RefusedError(Result.MALFORMED, "idJWT is missing")
    origin = opened(inner, known, now, ORIGIN_AGE)
    identifier = _identifier(request.sub)
    return Deletion(request.issuer, origin.issuer, request.jti, identifier, request.sub == origin.sub)


def opened(token: str, parties: Iterable[Party], now: datetime, age: timedelta) -> Token:
    """A token with all the claims that every token needs, signed by the party that it names, made not long ago.

    Raises:
        RefusedError: MALFORMED, SIGNATURE, TOKEN, TIMESTAMP.
    """
    header, claims = _unverified(token)
    issuer = claims.get("iss")
    party = by_id(parties, issuer) if isinstance(issuer, str) else None
    if "iss" not in claims:
        raise RefusedError(Result.MALFORMED, "iss is missing")
    if party is None:
        raise RefusedError(Result.SIGNATURE, "iss is no participant that we know")
    _verify(token, header, party)
    for name in ("version", "jti", "sub", "iat"):
        if name not in claims:
            raise RefusedError(Result.MALFORMED, f"{name} is missing")
    if claims["version"] != VERSION:
        raise RefusedError(Result.MALFORMED, f"version must be {VERSION}")
    jti, sub = claims["jti"], claims["sub"]
    if not isinstance(jti, str) or not 0 < len(jti) <= _MOST_ID or not jti.isprintable() or not isinstance(sub, dict):
        raise RefusedError(Result.MALFORMED, "jti or sub has the wrong form")
    _check_time(claims["iat"], now, age)
    return Token(party, jti, sub, claims)


def _unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise RefusedError(Result.TOKEN, "not a JWT") from error
    return parts["header"], parts["payload"]


def _verify(token: str, header: Mapping[str, Any], party: Party) -> None:
    """One of the party's keys has signed; a key named by `kid` alone counts, when there is such a name."""
    named = [key for key in party.keys if key.get("kid") == header.get("kid")] if "kid" in header else party.keys
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise RefusedError(Result.SIGNATURE, "alg is not supported")
    if not any(_is_signed(token, key, str(algorithm)) for key in named):
        raise RefusedError(Result.SIGNATURE, "no key of the issuer has signed this")


def _is_signed(token: str, key: Mapping[str, Any], algorithm: str) -> bool:
    try:
        jwt.decode(token, jwt.PyJWK(dict(key), algorithm).key, algorithms=[algorithm], options=_ONLY_SIGNATURE)  # type: ignore[arg-type]  # options are a plain mapping
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return True


def _check_time(iat: object, now: datetime, age: timedelta) -> None:
    try:
        moment = (
            datetime.fromtimestamp(iat, UTC) if isinstance(iat, int | float) and not isinstance(iat, bool) else None
        )
    except (ValueError, OverflowError, OSError):
        moment = None
    if moment is None or not now - age <= moment <= now + _SKEW:
        raise RefusedError(Result.TIMESTAMP, "iat is no time, or lies too far from now")


def _identifier(sub: Mapping[str, Any]) -> Identifier:
    kind, format_, value = (sub.get(f"identifier{name}") for name in ("Type", "Format", "Value"))
    if not all(isinstance(one, str) and one for one in (kind, format_, value)):
        raise RefusedError(Result.MALFORMED, "sub needs identifierType, identifierFormat and identifierValue")
    if kind not in {known for known, _ in IDENTIFIERS}:
        raise RefusedError(Result.IDENTIFIER_TYPE, "dsrdelete.json lists the types that are supported")
    found = IDENTIFIERS.get((str(kind), str(format_)))
    if found is None:
        raise RefusedError(Result.IDENTIFIER_FORMAT, "dsrdelete.json lists the formats that are supported")
    try:
        read_value = reading.mail if found is Kind.EMAIL else reading.sha256
        return Identifier(found, read_value(str(value), "identifierValue"))
    except DomainError as error:
        raise RefusedError(Result.IDENTIFIER_FORMAT, "identifierValue has another format than it says") from error
