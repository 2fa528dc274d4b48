"""What we have agreed with a partner about one request. Pure."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from igstats_gateway.doors.model import Status

PATIENCE = timedelta(days=5)
"""How long a callback may fail before it is given up; the partner can still ask."""
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_LOOK = timedelta(minutes=15)
_LONGEST_RETRY = timedelta(hours=1)
_DOUBLINGS = 16


@dataclass(frozen=True)
class Dealing:
    """A partner's request: by which door it came, whose it is, what they call it, what it is here."""

    door: str
    partner_id: str
    external_id: str
    request_id: str
    status_code: str
    created_at: datetime
    reference: str = ""
    """What else the partner calls it, to be repeated in every answer."""

    @property
    def key(self) -> dict[str, str]:
        """What tells it from all others."""
        return {"door": self.door, "partner_id": self.partner_id, "external_id": self.external_id}


@dataclass(frozen=True)
class Callback:
    """Where a partner wants to be told of changes. Its headers may carry the partner's secret."""

    url: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class News:
    """What a partner is told: a body in the words of the protocol, with the headers that go with it."""

    body: bytes
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


Tell = Callable[[Dealing, Status, Callback], News]
"""Says in the words of one protocol where a request stands. The same standing makes the same body."""


@dataclass(frozen=True)
class Due:
    """A callback whose request is to be looked at now."""

    dealing: Dealing
    number: int
    sealed: bytes
    told: bytes
    attempts: int
    failing_since: datetime | None


@dataclass(frozen=True)
class Turn:
    """What a look has brought: the digest of what was told last, and when to look again; None when there is no need."""

    told: bytes
    attempts: int
    failing_since: datetime | None
    next_at: datetime | None


def unchanged(due: Due, now: datetime) -> Turn:
    """Nothing new: the longer nothing happens, the rarer we look."""
    return Turn(due.told, due.attempts + 1, None, now + _pause(due.attempts, _LONGEST_LOOK))


def delivered(told: bytes, now: datetime, *, final: bool) -> Turn:
    """The partner has taken the news. After the last news nobody looks any more."""
    return Turn(told, 0, None, None if final else now + _FIRST_PAUSE)


def failed(due: Due, now: datetime) -> Turn:
    """The partner has not taken the news: again later, for five days."""
    since = due.failing_since or now
    again = now + _pause(due.attempts if due.failing_since else 0, _LONGEST_RETRY)
    attempts = due.attempts + 1 if due.failing_since else 1
    return Turn(due.told, attempts, since, again if now - since < PATIENCE else None)


def _pause(attempts: int, longest: timedelta) -> timedelta:
    return min(_FIRST_PAUSE * (1 << min(attempts, _DOUBLINGS)), longest)
