"""What a controller asks for (section 7.1). Pure but for the errors; the body itself is kept by nobody."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from igstats_gateway.doors import reading
from igstats_gateway.doors.attesting import proof
from igstats_gateway.doors.model import Identifier, Kind, Regime, Right, Wish
from igstats_gateway.doors.opendsr.names import V1, Names
from igstats_gateway.doors.reading import invalid

MOST_CALLBACKS = 5
_MOST_IDENTITIES = 20
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")

RIGHTS = {"access": Right.ACCESS, "erasure": Right.ERASURE, "portability": Right.PORTABILITY}
IDENTITIES = {("email", "raw"): Kind.EMAIL, ("email", "sha256"): Kind.EMAIL_SHA256}
"""What persons are found by. SHA-1 and MD5 of an address are not on file, and too weak to be put there."""
_REGIMES = {"gdpr": Regime.GDPR, "ccpa": Regime.CCPA}
_EXTENSION = {"instagram_user_id": Kind.INSTAGRAM_USER_ID, "instagram_username": Kind.USERNAME}


@dataclass(frozen=True)
class Asked:
    """A controller's request, read."""

    subject_request_id: str
    wish: Wish
    callbacks: tuple[str, ...]


def read(body: bytes, names: Names, domain: str, controller: str, *, verifies: bool) -> Asked:
    """Reads a body; `domain` is ours, under which extensions are, `controller` is the caller's.

    Raises:
        DomainError: BODY_INVALID, FIELD_INVALID.
    """
    given = reading.parsed(body)
    name = subject_request_id(reading.text(given, "subject_request_id"))
    right = reading.chosen(given, "subject_request_type", RIGHTS)
    regime = _regime(given, names)
    _check_time(given)
    _check_version(given, names)
    identifiers = (*_identities(given), *_extensions(given, domain))
    if not identifiers:
        raise invalid("subject_identities", "must name the person")
    words = f"OpenDSR controller {controller}: mail address verified"
    wish = Wish(
        door=names.door,
        idempotency_key="",
        right=right,
        identifiers=identifiers,
        identity_proof=proof(words, right, regime, identifiers, verified=verifies),
        regime=regime,
    )
    return Asked(name, wish, _callbacks(given))


def subject_request_id(found: str) -> str:
    """A lower-case UUID v4 (section 1.1).

    Raises:
        DomainError: FIELD_INVALID.
    """
    if not _UUID4.fullmatch(found):
        raise invalid("subject_request_id", "must be a lower-case UUID of version 4")
    return found


def _regime(given: Mapping[str, Any], names: Names) -> Regime:
    """The first version knew no other law than the GDPR and had no such field."""
    if names is V1 and "regulation" not in given:
        return Regime.GDPR
    return reading.chosen(given, "regulation", _REGIMES)


def _check_time(given: Mapping[str, Any]) -> None:
    """The controller's own clock began then; ours begins when the request comes."""
    found = reading.text(given, "submitted_time", most=64)
    try:
        datetime.fromisoformat(found.upper() if _RFC3339.fullmatch(found) else "")
    except ValueError as error:
        raise invalid("submitted_time", "must be an RFC 3339 time") from error


def _check_version(given: Mapping[str, Any], names: Names) -> None:
    found = reading.text(given, "api_version", most=20, needed=False)
    if found and found.partition(".")[0] != names.major:
        raise invalid("api_version", f"must be {names.api_version} at this path")


def _identities(given: Mapping[str, Any]) -> list[Identifier]:
    found = []
    for number, one in enumerate(reading.items(given, "subject_identities", most=_MOST_IDENTITIES)):
        place = f"subject_identities[{number}]"
        identity = reading.mapping(one, place)
        wanted = (identity.get("identity_type"), identity.get("identity_format"))
        kind = next((kind for known, kind in IDENTITIES.items() if known == wanted), None)
        if kind is None:
            raise invalid(place, "has a type and format that discovery does not list")
        value = reading.text(identity, "identity_value", most=320)
        read_value = reading.mail if kind is Kind.EMAIL else reading.sha256
        found.append(Identifier(kind, read_value(value, place)))
    return found


def _extensions(given: Mapping[str, Any], domain: str) -> list[Identifier]:
    """Instagram's names of a person, under our domain; what is meant for other processors is none of our business."""
    ours = reading.part(reading.part(given, "extensions", needed=False), domain, needed=False)
    if not set(ours) <= set(_EXTENSION):
        raise invalid(f"extensions.{domain}", "may hold " + ", ".join(sorted(_EXTENSION)))
    return [Identifier(_EXTENSION[name], reading.text(ours, name, most=64)) for name in sorted(ours)]


def _callbacks(given: Mapping[str, Any]) -> tuple[str, ...]:
    found = reading.items(given, "status_callback_urls", most=MOST_CALLBACKS)
    if not all(isinstance(url, str) for url in found):
        raise invalid("status_callback_urls", "must be addresses")
    return tuple(dict.fromkeys(found))
