"""The register of processing (GDPR article 30(1)), derived from what the holders declare. Pure.

An activity is what one holder does for one purpose on one legal basis. What declarations cannot say, because it is no
property of a table, is said once: recipients and transfers in `processors`, security measures (policy 4.1) here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_privacy.categories import RECIPIENTS, group
from igstats_privacy.processors import PROCESSORS, working_with


@dataclass(frozen=True)
class Controller:
    """Who is responsible and whom to ask (article 30(1)(a), policy 11)."""

    name: str
    email: str
    form: str
    address: str
    dpo_email: str
    dpo_phone: str


@dataclass(frozen=True)
class Stored:
    """One store with personal data, as its holder declares it."""

    holder: str
    store: str
    kind: str
    persons: str
    purpose: str
    legal_basis: str
    categories: tuple[str, ...]
    retention: str
    erasure: str


@dataclass(frozen=True)
class Activity:
    """One entry of the register."""

    holder: str
    purpose: str
    legal_basis: str
    persons: tuple[str, ...]
    categories: tuple[str, ...]
    groups: tuple[str, ...]
    recipients: tuple[str, ...]
    retention: tuple[str, ...]
    erasure: tuple[str, ...]
    stores: tuple[str, ...]


@dataclass(frozen=True)
class Register:
    """The whole register."""

    controller: Controller
    made_at: datetime
    activities: tuple[Activity, ...]
    impersonal_stores: tuple[str, ...]
    transfers: tuple[str, ...]
    security: tuple[str, ...]


TRANSFERS = tuple(f"{one.name} ({one.task}): {one.country}, under {one.safeguard}" for one in PROCESSORS)
"""Article 30(1)(e), policy 7."""
SECURITY = (
    "TLS at the gateway, mutual TLS between all services",
    "API keys, of which only a keyed hash is stored; scopes and expiry",
    "a log of every access, tamper-evident, 30 days",
    "regular security audits, with findings in the evidence log",
    "identifiers and credentials sealed at rest (AES-256-GCM)",
)
"""Article 30(1)(g), policy 4.1."""
_PERSONS: Mapping[str, str] = {
    "PROFILE": "owners of Instagram profiles",
    "ACCOUNT": "API customers",
    "CONTACT": "contact persons of API customers",
    "REQUESTER": "persons who exercise their rights",
}
_ERASURE: Mapping[str, str] = {
    "DELETE": "deleted on request",
    "REDACT": "personal fields emptied on request",
    "RETAIN": "kept on a legal ground until its end, out of use",
    "EXPIRE": "leaves by age",
}


def register(
    stores: Iterable[Stored], controller: Controller, made_at: datetime, impersonal_stores: Iterable[str] = ()
) -> Register:
    """The register of these stores, ordered by holder and purpose."""
    grouped: dict[tuple[str, str, str], list[Stored]] = {}
    for one in stores:
        grouped.setdefault((one.holder, one.purpose, one.legal_basis), []).append(one)
    activities = tuple(_activity(grouped[key]) for key in sorted(grouped))
    return Register(controller, made_at, activities, tuple(sorted(impersonal_stores)), TRANSFERS, SECURITY)


def _activity(stores: Sequence[Stored]) -> Activity:
    first = stores[0]
    categories = _each(key for one in stores for key in one.categories)
    return Activity(
        holder=first.holder,
        purpose=first.purpose,
        legal_basis=first.legal_basis.replace("_", " "),
        persons=_each(_PERSONS.get(one.persons, "persons named by the store's own keys") for one in stores),
        categories=categories,
        groups=_each(map(group, categories)),
        recipients=_recipients(first.holder),
        retention=_each(one.retention for one in stores),
        erasure=_each(_ERASURE.get(one.erasure, one.erasure.lower()) for one in stores),
        stores=_each(one.store for one in stores),
    )


def _recipients(holder: str) -> tuple[str, ...]:
    return (*(f"{one.task}: {one.name}" for one in working_with(holder)), *RECIPIENTS.get(holder, ()))


def _each(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({word for word in words if word}))
