"""Who works for us, as the privacy policy names them (sections 7 and 8). An operator who uses others changes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Processor:
    """A company that processes data for us, where, and what protects a transfer (GDPR 15(2), 46).

    `holders` are those whose stores it sees; None for every one.
    """

    name: str
    task: str
    data: str
    holders: frozenset[str] | None
    country: str
    safeguard: str


_ABROAD = "possibly outside of the European Economic Area"
_CLAUSES = "standard contractual clauses of the European Commission (GDPR article 46(2)(c))"

PROCESSORS = (
    Processor(
        "Amazon Web Services or Google Cloud",
        "hosting and backups",
        "everything listed above",
        None,
        _ABROAD,
        _CLAUSES,
    ),
    Processor("Datadog", "monitoring", "technical logs without names", None, _ABROAD, _CLAUSES),
    Processor("Mixpanel", "usage analytics", "how the API is used", frozenset({"gateway"}), _ABROAD, _CLAUSES),
    Processor("Zendesk", "support", "what you write to support", frozenset({"gateway", "privacy"}), _ABROAD, _CLAUSES),
)
"""That the clauses are signed is the operator's to ensure."""


def working_with(holder: str) -> tuple[Processor, ...]:
    """Those who process what a holder stores."""
    return tuple(one for one in PROCESSORS if one.holders is None or holder in one.holders)
