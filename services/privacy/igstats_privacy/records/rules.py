"""What the ledger says about a request, and the numbers that it makes. Pure.

Every rule of this page is computed by `store` in SQL as well, and a test holds them together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from igstats_privacy.model import Regime, Right, State

MET, MET_IN_PART = State.FULFILLED, State.FULFILLED_IN_PART
REFUSED = frozenset({State.DENIED, State.EXPIRED})
"""One that nobody proved counts as denied: 11 CCR 7102(a)(1) knows complied with, in whole or in part, or denied."""
ANSWERS = frozenset({MET, MET_IN_PART}) | REFUSED
"""A request that was taken back needs no answer."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class LedgerEntry:
    """One line of the request ledger: `subject_token` is the person under the ledger's own key."""

    request_id: str
    subject_token: bytes
    right: Right
    door: str
    regime: Regime
    received_at: datetime
    due_at: datetime
    confirm_due_at: datetime | None
    confirmed_at: datetime | None
    answered_at: datetime | None
    answer: str
    ground: str


@dataclass(frozen=True)
class RightMetrics:
    """Numbers for one right (11 CCR 7102(a)(1))."""

    right: Right
    received: int
    met: int
    met_in_part: int
    refused: int
    open: int
    missed: int
    median_days: float


def missed(entry: LedgerEntry, now: datetime) -> bool:
    """Whether a clock of the request ran out: that of its answer, or that of the confirmation of receipt.

    An answer confirms, too. A confirmation after its due time does not heal the clock.
    """
    answered = entry.answered_at or now
    if answered >= entry.due_at:
        return True
    if entry.confirm_due_at is None:
        return False
    return min(entry.confirmed_at or answered, answered) >= entry.confirm_due_at


def metrics(entries: Iterable[LedgerEntry], now: datetime) -> Sequence[RightMetrics]:
    """The numbers of these entries, by right."""
    by_right: dict[Right, list[LedgerEntry]] = {}
    for entry in entries:
        by_right.setdefault(entry.right, []).append(entry)
    return [_metrics(right, by_right[right], now) for right in sorted(by_right)]


def _metrics(right: Right, entries: Sequence[LedgerEntry], now: datetime) -> RightMetrics:
    days = [
        (entry.answered_at - entry.received_at) / _DAY
        for entry in entries
        if entry.answered_at is not None and entry.answer in ANSWERS
    ]
    return RightMetrics(
        right=right,
        received=len(entries),
        met=_count(entries, frozenset({MET})),
        met_in_part=_count(entries, frozenset({MET_IN_PART})),
        refused=_count(entries, REFUSED),
        open=sum(entry.answered_at is None for entry in entries),
        missed=sum(missed(entry, now) for entry in entries),
        median_days=median(days) if days else 0.0,
    )


def _count(entries: Iterable[LedgerEntry], answers: frozenset[State]) -> int:
    return sum(entry.answer in answers for entry in entries)
