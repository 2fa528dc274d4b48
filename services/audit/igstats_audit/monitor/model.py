"""What the monitor works with: rows as they stand, unbelieved, and what it finds wrong with them."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from igstats_audit.model import Log


class FindingKind(StrEnum):
    """What can be wrong with a log. The names are those of the proto without prefix."""

    FORK = "FORK"
    CHECKPOINT_INVALID = "CHECKPOINT_INVALID"
    TILE_CHANGED = "TILE_CHANGED"
    LEAF_CHANGED = "LEAF_CHANGED"
    PAYLOAD_CHANGED = "PAYLOAD_CHANGED"
    HEAD_CHANGED = "HEAD_CHANGED"
    SEQUENCE_GAP = "SEQUENCE_GAP"
    SEQUENCE_REPEATED = "SEQUENCE_REPEATED"
    CHECKPOINT_STALE = "CHECKPOINT_STALE"
    KEYS_CHANGED = "KEYS_CHANGED"
    MEMORY_LOST = "MEMORY_LOST"


@dataclass(frozen=True, slots=True)
class Observation:
    """One wrong thing. Kind and place make it the same thing when it is seen again."""

    log: Log
    kind: FindingKind
    place: str
    detail: str = field(compare=False)

    @property
    def thing(self) -> tuple[FindingKind, str]:
        """What makes it the same thing in its log."""
        return self.kind, self.place


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation as it is kept."""

    finding_id: str
    observation: Observation
    found_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class FindingPage:
    """Findings, newest first; the token is empty at the end."""

    findings: Sequence[Finding]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A head as it stands in its row, with what log_days says at the same moment, and how many events are parked."""

    size: int
    root: bytes
    compact_range: bytes
    checkpoint: str
    minimum_index: int
    epoch: int
    stream_sequence: int
    stream_made_at: datetime | None
    day: date
    newest_day: date | None
    oldest_index: int | None
    parked: int


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as it stands in its row. The access log has no columns for the fields that are None."""

    index: int
    leaf: bytes
    key_id: str
    sealed: bytes = field(repr=False)
    sequence: int
    kind: str | None = None
    producer: str | None = None
    request_id: str | None = None
    occurred_at: datetime | None = None
    day: date | None = None
    entry_id: str | None = None


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A row that leads to an entry: of entry_ids by the entry's id, of calls by the call's. A call has no request."""

    name: str
    index: int
    day: date
    request_id: str | None = None
    subject: str | None = None
    called_at: datetime | None = None
    status: int | None = None


class StrayState(StrEnum):
    """What is wrong with a row of an index that leads to no entry, or to one that it must not lead to."""

    MISSING = "there is none"
    ANOTHER = "it is another one"
    DOUBLE = "so does another row"
    DROPPED = "its content was dropped"
    ERASED = "its data key is gone"


@dataclass(frozen=True, slots=True)
class Stray:
    """A row of an index that does not fit the entry that it leads to."""

    index: int
    state: StrayState


class OpeningState(StrEnum):
    """What became of the attempt to open an entry."""

    OPENED = "opened"
    ERASED = "its data key is gone"
    WITHHELD = "it has no content"
    DAMAGED = "it does not open"
    MOVED = "it is sealed for another request"
    MISFILED = "its data key is filed elsewhere"


@dataclass(frozen=True, slots=True)
class Opening:
    """Salt and payload of an entry, or why there are none."""

    state: OpeningState
    salt: bytes = field(default=b"", repr=False)
    payload: bytes = field(default=b"", repr=False)


class Rows(Protocol):
    """Reads the rows of one log."""

    @property
    def log(self) -> Log:
        """Which log."""
        ...

    async def head(self) -> HeadRow | None:
        """The head."""
        ...

    async def announced(self, minimum_index: int) -> bool:
        """Whether the evidence log says that this log was cut up to there. Its own look checks that it truly does."""
        ...

    async def renamed(self, name: str) -> str:
        """The last checkpoint under the old name, if the evidence log says that this log goes on as `name`."""
        ...

    async def beyond(self, size: int) -> Sequence[int]:
        """Indexes of rows beyond this size and that of the head, some of them if they are many."""
        ...

    async def misshapen(self) -> Sequence[tuple[int, int]]:
        """Level and place of rows of tiles that are longer or shorter than the head says at the same moment."""
        ...

    async def tiles(self, level: int, places: Sequence[int]) -> Mapping[int, bytes]:
        """Rows of tiles by their places. At level 0 they hold cut leaves themselves, not their hashes."""
        ...

    async def entries(self, start: int, end: int) -> Sequence[EntryRow]:
        """Rows of entries in order."""
        ...

    async def open(self, rows: Sequence[EntryRow]) -> Sequence[Opening]:
        """Opens entries."""
        ...

    def day(self, index: int) -> date | None:
        """The day in which an entry should stand; None when it is earlier than all that log_days knows."""
        ...

    async def leading(self, names: Sequence[str], days: Collection[date]) -> Sequence[IndexRow]:
        """Rows of the index by name; those of calls on these days only."""
        ...

    async def standing(self, key_ids: Collection[str]) -> Mapping[str, str]:
        """The subjects of those data keys that exist, and whose persons are not erased."""
        ...

    def strays(self) -> AsyncIterator[Stray]:
        """Rows of the index that lead to no entry, or to one that they must not lead to."""
        ...


class Files(Protocol):
    """Reads files of one log as the service serves them."""

    async def file(self, path: str) -> bytes | None:
        """Content of a file; None when there is no such file.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; any other says that the service cannot make this file.
        """
        ...


class FindingStore(Protocol):
    """Where findings are kept."""

    async def save(self, seen: Collection[Finding], new: Collection[Finding]) -> None:
        """Has the list say what was seen, each thing once, and puts what is new on its way to the evidence log."""
        ...

    async def looked(self, log: Log, now: datetime) -> None:
        """Notes that all of a log was looked at, and that what was found is kept."""
        ...

    async def looked_at(self, log: Log) -> datetime | None:
        """When all of a log was last looked at."""
        ...

    async def page(self, before: str, limit: int) -> Sequence[Finding]:
        """Findings, the newest first, older than the one with an id if one is given."""
        ...
