"""Who works for us, as the privacy policy names them (sections 7 and 8). An operator who uses others changes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Processor:
    """A company that processes data for us, where, and what protects a transfer (GDPR 15(2), 46)."""

    name: str
    task: str
    data: str
    country: str
    safeguard: str


_ABROAD = "possibly outside of the European Economic Area"
_CLAUSES = "standard contractual clauses of the European Commission (GDPR article 46(2)(c))"

PROCESSORS = (
    Processor(
        "Amazon Web Services or Google Cloud", "hosting and backups", "everything listed above", _ABROAD, _CLAUSES
    ),
    Processor("Datadog", "monitoring", "technical logs without names", _ABROAD, _CLAUSES),
    Processor("Mixpanel", "usage analytics", "how the API is used", _ABROAD, _CLAUSES),
    Processor("Zendesk", "support", "what you write to support", _ABROAD, _CLAUSES),
)
