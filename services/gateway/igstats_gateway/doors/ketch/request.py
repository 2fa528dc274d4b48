"""What a tenant of Ketch forwards. Pure but for the errors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from igstats_gateway.doors import reading
from igstats_gateway.doors.attesting import proof
from igstats_gateway.doors.dealing import Callback
from igstats_gateway.doors.ketch.status import API_VERSION, DOOR, KINDS
from igstats_gateway.doors.model import Correction, Identifier, Kind, Regime, Right, Wish
from igstats_gateway.doors.reading import invalid

MOST_CALLBACKS = 5
_MOST_IDENTITIES = 20
_MOST_HEADERS = 20
_MOST_CORRECTIONS = 50
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_FIELD = re.compile(r"[a-z_]{1,63}\.[a-z_]{1,63}")

SPACES = {
    "email": Kind.EMAIL,
    "account_id": Kind.ACCOUNT_ID,
    "contact_id": Kind.CONTACT_ID,
    "instagram_user_id": Kind.INSTAGRAM_USER_ID,
    "instagram_username": Kind.USERNAME,
}
"""Identity spaces to be set up at Ketch. Ketch's other formats, md5 and sha1, are not on file here."""
_REQUESTS = {f"{kind}Request": right for right, kind in KINDS.items()}


@dataclass(frozen=True)
class Forwarded:
    """A forwarded request, read."""

    uid: str
    tenant: str
    wish: Wish
    callbacks: tuple[Callback, ...]


def read(body: bytes, tenant: str, *, verifies: bool) -> Forwarded:
    """Reads a body of the tenant that calls.

    Raises:
        DomainError: BODY_INVALID, FIELD_INVALID.
    """
    given = reading.parsed(body)
    if given.get("apiVersion") != API_VERSION:
        raise invalid("apiVersion", f"must be {API_VERSION}")
    right = reading.chosen(given, "kind", _REQUESTS)
    metadata = reading.part(given, "metadata")
    if reading.text(metadata, "tenant", most=80) != tenant:
        raise invalid("metadata.tenant", "must be the tenant whose token this is")
    request = reading.part(given, "request")
    regime, identifiers = _regime(request), _identities(request)
    words = f"Ketch tenant {tenant}: mail address verified"
    wish = Wish(
        door=DOOR,
        idempotency_key="",
        right=right,
        identifiers=identifiers,
        identity_proof=proof(words, right, regime, identifiers, verified=verifies),
        regime=regime,
        corrections=_corrections(request) if right is Right.CORRECTION else (),
    )
    return Forwarded(reading.text(metadata, "uid", most=200), tenant, wish, _callbacks(request))


def _regime(request: Mapping[str, Any]) -> Regime:
    """Codes of regulations are the tenant's own; what names neither law is read as the stricter one."""
    code = reading.text(request, "regulation", most=80).lower()
    if "gdpr" in code:
        return Regime.GDPR
    return Regime.CCPA if "ccpa" in code or "cpra" in code else Regime.UNSPECIFIED


def _identities(request: Mapping[str, Any]) -> tuple[Identifier, ...]:
    found = []
    for number, one in enumerate(reading.items(request, "identities", most=_MOST_IDENTITIES)):
        place = f"identities[{number}]"
        identity = reading.mapping(one, place)
        if identity.get("identityFormat") not in {None, "", "raw"}:
            raise invalid(place, "has a format that is not supported: raw alone is")
        kind = reading.chosen(identity, "identitySpace", SPACES)
        value = reading.text(identity, "identityValue", most=320)
        found.append(Identifier(kind, reading.mail(value, place) if kind is Kind.EMAIL else value.strip()))
    if not found:
        raise invalid("identities", "must name the person")
    return tuple(found)


def _corrections(request: Mapping[str, Any]) -> tuple[Correction, ...]:
    """From the form: Ketch itself transports a free text only, which no machine may act upon."""
    form = reading.part(reading.part(request, "subject", needed=False), "formData", needed=False)
    found = [Correction(name, reading.text(form, name)) for name in sorted(form) if _FIELD.fullmatch(name)]
    if not 0 < len(found) <= _MOST_CORRECTIONS:
        raise invalid("subject.formData", "must hold right values by field, for example contacts.name")
    return tuple(found)


def _callbacks(request: Mapping[str, Any]) -> tuple[Callback, ...]:
    found = []
    for one in reading.items(request, "callbacks", most=MOST_CALLBACKS):
        callback = reading.mapping(one, "callbacks")
        headers = reading.part(callback, "headers", needed=False)
        if len(headers) > _MOST_HEADERS or not all(_HEADER.fullmatch(name) for name in headers):
            raise invalid("callbacks", "has headers that are none")
        said = {name: reading.text(headers, name) for name in headers}
        found.append(Callback(reading.text(callback, "url"), said))
    return tuple(found)
