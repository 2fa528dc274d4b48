"""Errors over HTTP: RFC 9457 problem details, made from the same catalogue as the gRPC status."""

import re
from collections.abc import Mapping
from math import ceil
from typing import Any

from igstats_kit.errors import CATALOGUE, DomainError, PublicError, Reason

MEDIA_TYPE = "application/problem+json"
ERRORS_PATH = "/v1/errors"

_BY_CODE = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 409,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_BY_REASON = {
    Reason.METHOD_UNKNOWN: 404,
    Reason.MESSAGE_TOO_LARGE: 413,
    Reason.IDEMPOTENCY_KEY_REUSED: 422,
    Reason.EXPORT_EXPIRED: 410,
    Reason.EVIDENCE_LOST: 410,
}
_WRONG_VERB = 405
_BUSY = {"RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED"}
_PART = re.compile(r"[^.\[\]]+")


def status_of(reason: Reason) -> int:
    """The HTTP status of a reason."""
    return _BY_REASON.get(reason) or _BY_CODE.get(CATALOGUE[reason].code, 500)


def status(error: DomainError) -> int:
    """The HTTP status of an error."""
    return _WRONG_VERB if "allow" in error.metadata else status_of(error.reason)


def problem(error: DomainError, call_id: str) -> dict[str, Any]:
    """The body of a failed answer."""
    body: dict[str, Any] = {
        "type": f"{ERRORS_PATH}/{error.reason}",
        "title": error.public.text,
        "status": status(error),
        "code": error.public.code,
        "reason": str(error.reason),
        "fix": error.public.fix,
        "requestId": call_id,
    }
    if error.violations:
        body["errors"] = [{"pointer": pointer(one.field), "detail": one.description} for one in error.violations]
    return body | ({"metadata": dict(error.metadata)} if error.metadata else {})


def pointer(field: str) -> str:
    """A field path as a JSON pointer into the request: contacts[0].contact_id is #/contacts/0/contactId."""
    return "#" + "".join(f"/{_camel(part)}" for part in _PART.findall(field))


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def headers(error: DomainError) -> Mapping[str, str]:
    """Header fields that belong to an error."""
    found = {}
    if error.retry_after is not None:
        found["retry-after"] = str(ceil(error.retry_after))
    if error.public.code == "UNAUTHENTICATED":
        found["www-authenticate"] = "Bearer"
    if "allow" in error.metadata:
        found["allow"] = error.metadata["allow"]
    return found


def passing(error: DomainError) -> bool:
    """Whether the same call may succeed later: it says when, or it met others. What is too large stays too large."""
    busy = error.public.code in _BUSY and error.reason is not Reason.MESSAGE_TOO_LARGE
    return busy or error.retry_after is not None


def catalogue() -> list[dict[str, Any]]:
    """Every reason with its meaning: the data of the errors page."""
    return [entry(reason, CATALOGUE[reason]) for reason in Reason]


def entry(reason: Reason, public: PublicError) -> dict[str, Any]:
    """One reason of the catalogue."""
    return {
        "reason": str(reason),
        "code": public.code,
        "status": status_of(reason),
        "text": public.text,
        "fix": public.fix,
    }
