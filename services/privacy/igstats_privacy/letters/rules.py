"""Which letters a request has to bring about, and when. Pure.

Level-triggered: what a request is now tells which letters are owed; those already written are left out. A crash between
two letters loses none, and a state that lasted an instant brings none about.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from igstats_privacy.lifecycle import FINAL, RUNNING
from igstats_privacy.model import Request, Right, State, Wait


class Letter(StrEnum):
    """Names of templates."""

    RECEIPT = "receipt"
    EXTENSION = "extension"
    LIFTING = "lifting"
    PACKAGE = "package"
    RESULT = "result"
    REFUSAL = "refusal"
    CODE = "code"


EXPLAINED = {Letter.EXTENSION: "EXTENSION", Letter.REFUSAL: "DENIAL"}
"""Letters that tell what an officer has written, and the kind of the officer's decision."""

STAYS_OWED = timedelta(days=5)
"""How long after the end of a request its withheld letters are tried again."""

_PACKAGED = frozenset({Right.ACCESS, Right.PORTABILITY})
_FULFILLED = frozenset({State.FULFILLED, State.FULFILLED_IN_PART})


def owed(request: Request, written: Collection[str]) -> Sequence[Letter]:
    """The letters that are to be written now, in their order."""
    return [letter for letter in _called_for(request) if letter not in written]


def is_over(request: Request, *, held: bool) -> bool:
    """Whether no letter can become due any more, of this request or of what goes on after a hold."""
    return request.state in FINAL and not held


def again_at(request: Request, now: datetime) -> datetime | None:
    """When letters withheld now are tried again: with the next day of counting; None when that is too late."""
    if request.closed_at is not None and now >= request.closed_at + STAYS_OWED:
        return None
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _called_for(request: Request) -> list[Letter]:
    letters = []
    if not request.parent_id:  # the person did not open what continues another request
        letters.append(Letter.RECEIPT)
    if request.right is Right.LIFTING and (request.wait is Wait.WINDOW or request.state in RUNNING):
        letters.append(Letter.LIFTING)
    if request.extended_at is not None:
        letters.append(Letter.EXTENSION)
    if request.state in FINAL:
        letters.append(_last(request))
    return letters


def _last(request: Request) -> Letter:
    if request.state is State.DENIED:
        return Letter.REFUSAL
    return Letter.PACKAGE if request.right in _PACKAGED and request.state in _FULFILLED else Letter.RESULT
