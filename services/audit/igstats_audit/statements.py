"""What holders and privacy said about a request, as far as the log's own words about it need to know."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

ATTEST = "ATTEST"


@dataclass(frozen=True, slots=True)
class Kept:
    """Data that stays: where, on which legal ground, until when."""

    store: str
    fields: tuple[str, ...]
    ground: str
    count: int
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A receipt: what one holder says about one phase. `signed` is what its signature is over."""

    holder: str
    right: str
    phase: str
    outcome: str
    counts: tuple[tuple[str, int], ...]
    kept: tuple[Kept, ...]
    executed_at: datetime
    effective_at: datetime | None
    digest: bytes
    key_id: str
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def row_count(self) -> int:
        """Rows that the phase touched or found, in all stores."""
        return sum(count for _, count in self.counts)


@dataclass(frozen=True, slots=True)
class LastWord:
    """What the closing says about one holder: its outcome, and which receipt says so."""

    holder: str
    outcome: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """How a request ended, and who was concerned."""

    state: str
    closed_at: datetime
    holders: tuple[LastWord, ...]


def final(word: LastWord, statements: Sequence[Statement]) -> Statement | None:
    """The statement that the closing names for a holder."""
    return next((one for one in statements if (one.holder, one.digest) == (word.holder, word.digest)), None)
