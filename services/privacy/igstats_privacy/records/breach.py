"""Breaches of personal data: what is written about them, and what follows from it (GDPR articles 33 and 34). Pure.

A breach is nothing but its first report and the events after it. Events are only added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from igstats_kit.errors import DomainError, Reason

from igstats_privacy.regimes import BREACH_HOURS


class Kind(StrEnum):
    """What became known or was done."""

    DISCOVERED = "discovered"
    ASSESSED = "assessed"
    AUTHORITY_TOLD = "authority_told"
    PERSONS_TOLD = "persons_told"
    MENDED = "mended"
    CLOSED = "closed"
    NOTE = "note"


@dataclass(frozen=True)
class BreachEvent:
    """One event, and the officer who wrote it."""

    officer: str
    written_at: datetime
    kind: Kind
    text: str


@dataclass(frozen=True)
class Breach:
    """A breach with its events, oldest first."""

    breach_id: str
    discovered_at: datetime
    categories: tuple[str, ...]
    person_count: int
    consequences: str
    events: tuple[BreachEvent, ...]

    @property
    def authority_due_at(self) -> datetime:
        """Until when the authority must be told (article 33(1))."""
        return self.discovered_at + BREACH_HOURS

    @property
    def authority_told_at(self) -> datetime | None:
        """When the authority was first told; it may be told more later (article 33(4))."""
        return self._first(Kind.AUTHORITY_TOLD)

    @property
    def closed_at(self) -> datetime | None:
        """When it was closed; notes may follow."""
        return self._first(Kind.CLOSED)

    def missed(self, now: datetime) -> bool:
        """Whether the 72 hours ran out. Telling late does not undo it; a close in time says that there was no duty."""
        ended = [moment for moment in (self.authority_told_at, self.closed_at) if moment is not None]
        return min(ended, default=now) >= self.authority_due_at

    def _first(self, kind: Kind) -> datetime | None:
        return next((event.written_at for event in self.events if event.kind is kind), None)


def require_addable(kind: Kind, before: Sequence[BreachEvent]) -> None:
    """What may be added when: after the close notes only, and no close before somebody has judged the risk.

    Article 33(1) frees from telling the authority only what is unlikely to be a risk, and 33(5) wants that documented.

    Raises:
        DomainError: TRANSITION_NOT_ALLOWED.
    """
    kinds = {event.kind for event in before}
    if Kind.CLOSED in kinds and kind is not Kind.NOTE:
        raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state="CLOSED", step=kind)
    if kind is Kind.CLOSED and not kinds & {Kind.ASSESSED, Kind.AUTHORITY_TOLD}:
        raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state="NOT_ASSESSED", step=kind)
