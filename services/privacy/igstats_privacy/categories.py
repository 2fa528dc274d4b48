"""The disclosure of categories (CCPA 1798.110, policy 6.2), derived from what the holders declare. Pure.

Fideslang keys are grouped into the four categories of the policy by their longest known beginning.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

IDENTIFIERS, USAGE = "identifiers", "usage data"
COMMERCIAL, ACTIVITY = "commercial information", "internet activity"

_GROUPS: Mapping[str, str] = {
    "user.unique_id": IDENTIFIERS,
    "user.name": IDENTIFIERS,
    "user.contact": IDENTIFIERS,
    "user.account": IDENTIFIERS,
    "user.device": IDENTIFIERS,
    "user.government_id": IDENTIFIERS,
    "user.authorizing": IDENTIFIERS,
    "user.authorization": IDENTIFIERS,
    "user.telemetry": USAGE,
    "user.behavior": USAGE,
    "system.operations": USAGE,
    "user.financial": COMMERCIAL,
    "user.workplace": COMMERCIAL,
    "user.social": ACTIVITY,
    "user.content": ACTIVITY,
    "user.demographic": ACTIVITY,
    "user": IDENTIFIERS,
}
_SOURCES: Mapping[str, str] = {
    "provided": "you, or your company for you",
    "derived": "conclusions of ours from other data about you",
    "aggregate": "figures about many persons at once",
}
_OBSERVED: Mapping[str, str] = {"stats": "Instagram, through its Graph API"}
_OBSERVED_HERE = "your use of our API"
RECIPIENTS: Mapping[str, tuple[str, ...]] = {"stats": ("the API customers that the profile's owner has connected",)}
"""Who receives what a holder stores, processors aside."""
SALE = "sale"
"""A purpose that would make a category one that is sold; no store declares it, and a test says so."""


@dataclass(frozen=True)
class Held:
    """One field of one store, as its holder declares it."""

    holder: str
    key: str
    provenance: str
    purpose: str
    retention: str
    legal_basis: str = ""


@dataclass
class Category:
    """One category of personal data, and everything that is said about it."""

    name: str
    keys: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    purposes: set[str] = field(default_factory=set)
    recipients: set[str] = field(default_factory=set)
    retentions: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)
    sold: bool = False


def group(key: str) -> str:
    """The policy's category of a fideslang key.

    Raises:
        LookupError: No category covers the key; add it to `_GROUPS` and, if it is a new one, to the policy.
    """
    while key:
        if key in _GROUPS:
            return _GROUPS[key]
        key = key.rpartition(".")[0]
    raise LookupError("no category covers the key")


def disclosed(fields: Iterable[Held]) -> list[Category]:
    """The categories of what is held, by name."""
    found: dict[str, Category] = {}
    for one in fields:
        category = found.setdefault(group(one.key), Category(group(one.key)))
        category.keys.add(one.key)
        category.sources.add(_SOURCES.get(one.provenance) or _OBSERVED.get(one.holder, _OBSERVED_HERE))
        category.purposes.add(one.purpose)
        category.retentions.add(one.retention)
        category.bases.add(one.legal_basis)
        category.recipients.update(RECIPIENTS.get(one.holder, ()))
        category.sold |= one.purpose == SALE
    return [found[name] for name in sorted(found)]
