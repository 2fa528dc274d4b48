"""The clocks that somebody must look at: of requests and of breaches. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from igstats_privacy.records.breach import Breach
from igstats_privacy.records.rules import LedgerEntry
from igstats_privacy.regimes import reached

MISSED = 100


class Clock(StrEnum):
    """What must be done in time."""

    ANSWER = "answer"
    CONFIRM = "confirm"
    AUTHORITY = "authority"


@dataclass(frozen=True)
class Alert:
    """A clock that has reached one of `regimes.ALERTS`; `about` is a request or a breach."""

    about: str
    clock: Clock
    percent: int
    due_at: datetime


def of_request(entry: LedgerEntry, now: datetime) -> Iterator[Alert]:
    """The alerts of a request that is still open."""
    if entry.answered_at is not None:
        return
    yield from _alert(entry.request_id, Clock.ANSWER, entry.received_at, entry.due_at, now)
    if entry.confirm_due_at is not None and entry.confirmed_at is None:
        yield from _alert(entry.request_id, Clock.CONFIRM, entry.received_at, entry.confirm_due_at, now)


def of_breach(breach: Breach, now: datetime) -> Iterator[Alert]:
    """The alert of a breach whose authority was not told, unless it was closed without a duty to tell."""
    if breach.authority_told_at is None and breach.closed_at is None:
        yield from _alert(breach.breach_id, Clock.AUTHORITY, breach.discovered_at, breach.authority_due_at, now)


def _alert(about: str, clock: Clock, began: datetime, due: datetime, now: datetime) -> Iterator[Alert]:
    percent = reached(began, due, now)
    if percent:
        yield Alert(about, clock, percent, due)


def urgent_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Missed ones first, the longest missed at the top; then by how much of the clock is over."""
    return sorted(alerts, key=lambda one: (-one.percent, one.due_at, one.about, one.clock))
