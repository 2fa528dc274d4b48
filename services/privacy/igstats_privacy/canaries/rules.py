"""When a canary is due, and what its erasure must have done. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from igstats_privacy.model import Outcome, State

HOLDER = "gateway"
"""The holder that has its person."""
NAME = "planted canary"
"""What its account and its contact are called, so that whoever finds one knows that it is nobody."""

_ERASED = frozenset({State.SETTLING, State.FULFILLED})
_FAILED = frozenset({State.FULFILLED_IN_PART, State.DENIED, State.WITHDRAWN, State.EXPIRED})
_NOTHING_LEFT = frozenset({Outcome.ERASED, Outcome.NOT_HELD})


class Result(StrEnum):
    """What a canary says of the erasure."""

    PROVED = "PROVED"
    VIOLATED = "VIOLATED"


@dataclass(frozen=True)
class Canary:
    """One canary. `sealed` holds its names and is destroyed at its end; `request_id` is "" until it is to be erased."""

    canary_id: str
    sealed: bytes | None = field(repr=False)
    request_id: str
    started_at: datetime
    deadline_at: datetime
    ended_at: datetime | None = None
    result: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """How a canary ended; the reason is empty when the erasure was proved."""

    result: Result
    reason: str = ""


@dataclass(frozen=True)
class Word:
    """The last word of a holder, and the rows that it erased."""

    outcome: Outcome
    rows: int


PROVED = Verdict(Result.PROVED)


def violated(reason: str) -> Verdict:
    """A verdict that somebody must look at."""
    return Verdict(Result.VIOLATED, reason)


def slot(now: datetime, every: timedelta) -> str:
    """The name of the canary that is due now: one for each stretch of time, whoever looks and however often."""
    start = now.timestamp() // every.total_seconds() * every.total_seconds()
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%SZ}"


def broken_promise(holders: Iterable[str], words: Mapping[str, Word]) -> str:
    """What the holders' last words lack; "" when every holder has spoken, nothing is left and the person was found."""
    for holder in sorted({*holders, HOLDER}):
        word = words.get(holder)
        if word is None:
            return f"{holder} has not settled"
        if word.outcome not in _NOTHING_LEFT:
            return f"{holder} answered {word.outcome}"
    planted = words[HOLDER]
    if planted.outcome is not Outcome.ERASED or planted.rows < 1:
        return f"{HOLDER} did not find the person"
    return ""


def is_over(state: State) -> bool:
    """Whether all holders have settled, whatever backups still hold, or the request has ended in another way."""
    return state in _ERASED | _FAILED


def unfulfilled(state: State) -> str:
    """Why a request that is over erased nobody, or not all; "" when it did."""
    return f"the request is {state}" if state in _FAILED else ""
