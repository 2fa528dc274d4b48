"""Signed messages of agents: base64 of an Ed25519 signature and JSON, checked in the order that section 3.07 sets."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from igstats_kit.errors import DomainError, Reason, Violation

VERSION = "1.0"
_SIGNATURE_BYTES = 64

Claims = Mapping[str, Any]


def opened(body: bytes, verify_key: str) -> bytes:
    """The JSON of a message whose signature is the key's.

    Raises:
        DomainError: BODY_INVALID when it is not base64 of at least a signature, SIGNED_REQUEST_INVALID.
    """
    try:
        buffer = base64.b64decode(body.strip(), validate=True)
    except binascii.Error as error:
        raise DomainError(Reason.BODY_INVALID) from error
    if len(buffer) < _SIGNATURE_BYTES:
        raise DomainError(Reason.BODY_INVALID)
    signature, message = buffer[:_SIGNATURE_BYTES], buffer[_SIGNATURE_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(verify_key)).verify(signature, message)
    except InvalidSignature as error:
        raise DomainError(Reason.SIGNED_REQUEST_INVALID) from error
    return message


def read(message: bytes) -> Claims:
    """The claims of an opened message.

    Raises:
        DomainError: BODY_INVALID; it is no JSON object.
    """
    try:
        found = json.loads(message, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DomainError(Reason.BODY_INVALID) from error
    if not isinstance(found, dict):
        raise DomainError(Reason.BODY_INVALID)
    return found


def require_valid(claims: Claims, agent_id: str, business_id: str, now: datetime) -> None:
    """Lets a message go on that this agent made for us and that is in force: agent, business, from, until, version.

    Raises:
        DomainError: AGENT_UNKNOWN, SIGNED_REQUEST_INVALID, FIELD_INVALID.
    """
    if claims.get("agent-id") != agent_id:
        raise DomainError(Reason.AGENT_UNKNOWN)
    if claims.get("business-id") != business_id:
        raise invalid("business-id", "names another business")
    if _moment(claims, "issued-at") > now:
        raise invalid("issued-at", "lies in the future")
    if _moment(claims, "expires-at") <= now:
        raise invalid("expires-at", "has passed")
    if claims.get("drp.version") != VERSION:
        raise invalid("drp.version", f"must be {VERSION}")


def invalid(field: str, rule: str) -> DomainError:
    """A claim that breaks a rule of the protocol."""
    return DomainError(Reason.FIELD_INVALID, violations=[Violation(field, rule)])


def text(claims: Claims, name: str, most: int) -> str:
    """A claim that may be missing: text without control characters, or "".

    Raises:
        DomainError: FIELD_INVALID.
    """
    found = claims.get(name, "")
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > most or not found.isprintable():
        raise invalid(name, f"must be text of at most {most} characters")
    return found


def _moment(claims: Claims, name: str) -> datetime:
    found = claims.get(name)
    try:
        moment = datetime.fromisoformat(found) if isinstance(found, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid(name, "must be an ISO 8601 time with its zone")
    return moment


def _refuse(constant: str) -> None:
    raise ValueError(constant)
