"""What the audit service works with: entries of its two logs, where they stand, and the seams to storage and keys."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from igstats_kit.seal import Sealer

from igstats_audit.tree import Growth, Range

RECEIPT_ISSUED = "receipt.issued"
REQUEST_CLOSED = "request.closed"
CALL_ANSWERED = "call.answered"
LOG_CUT = "log.cut"
CUT_ID = "cut/"


class Log(StrEnum):
    """The two logs by retention class. Each is a tree of its own, with its own origin and keys."""

    EVIDENCE = "evidence"
    ACCESS = "access"


class Subject(NamedTuple):
    """Whose data key seals an entry: an account by its token, a request by its id, or nobody by an empty name."""

    name: str
    token: bytes | None = None


NOBODY = Subject("")


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key that seals entries of one subject. Without it they are numbers."""

    key_id: str
    secret: bytes = field(repr=False)
    sealer: Sealer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sealer", Sealer(self.secret))  # once a key: it costs as much as sealing an entry


@dataclass(slots=True)
class NewEntry:
    """Something to append. Whoever repeats an entry id in the evidence log gets the place of the first.

    Not frozen, for it is made once an entry: freezing costs as much as hashing and sealing what it holds.

    `sequence` is the producer's own number of the entry, from 1 without gaps; 0 when it does not number.
    """

    entry_id: str
    kind: str
    request_id: str
    producer: str
    payload: bytes = field(repr=False)
    occurred_at: datetime
    sequence: int = 0

    @property
    def subject(self) -> Subject:
        """Whose key seals it."""
        return Subject(self.request_id)


@dataclass(slots=True)
class NewCall(NewEntry):
    """A call for the access log: `entry_id` is its call id. `token` is the account's, None when nobody is known.

    `position` is that of its event in the stream.
    """

    status: int = 0
    token: bytes | None = None
    position: int = 0

    @property
    def subject(self) -> Subject:
        """Whose key seals it."""
        return NOBODY if self.token is None else Subject(self.token.hex(), self.token)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in its place, with its opening: salt and payload are what its leaf commits to.

    Both are empty when the key of the entry is erased: the leaf and every proof stay. They are empty, too, when the
    entry is `damaged`: what is stored does not open.
    """

    index: int
    day: date
    entry_id: str
    kind: str
    request_id: str
    producer: str
    sequence: int
    leaf: bytes
    salt: bytes
    payload: bytes = field(repr=False)
    occurred_at: datetime
    damaged: bool = False


class Withheld(StrEnum):
    """Why the content of a call is dropped: its person is fenced, or their data key is damaged."""

    FENCED = "fenced"
    KEY_DAMAGED = "key_damaged"


@dataclass(slots=True, eq=False)
class SealedEntry:
    """A new entry with its leaf; stored, `sealed` is one ciphertext of salt and payload under the data key `key_id`.

    Those two stay empty for an entry that is `withheld`: its leaf keeps the producer's numbers whole, its content is
    dropped.
    """

    new: NewEntry
    salt: bytes = field(repr=False)
    leaf: bytes
    key_id: str = ""
    sealed: bytes = field(repr=False, default=b"")
    withheld: Withheld | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row of an entry is: its index, and the day that its partition keeps."""

    index: int
    day: date


@dataclass(frozen=True, slots=True)
class Known:
    """Where an entry id already is, and what stands there."""

    index: int
    request_id: str
    leaf: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The newest state of a log.

    `epoch` counts the commits and cuts: a writer that has missed one cannot commit. Entries below `minimum_index` are
    cut. `stream_sequence` is the last message of the stream behind the log that is in it. `day` is that of the newest
    entry: no entry stands in an earlier day than one before it.
    """

    tree: Range
    epoch: int
    checkpoint: str
    minimum_index: int = 0
    stream_sequence: int = 0
    day: date = date.min


@dataclass(slots=True)
class Acknowledgement:
    """Proof that an entry is in the tree of a checkpoint."""

    entry_id: str
    index: int
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Appended:
    """Answer to an append: one acknowledgement for each entry, in order, all against one checkpoint."""

    acknowledgements: Sequence[Acknowledgement]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Seal:
    """A signed state of a log, and the lines by which witnesses have signed it, too; "" for none."""

    tree: Range
    checkpoint: str
    cosignatures: str = ""


@dataclass(frozen=True, slots=True)
class RequestEvidence:
    """Everything the log holds about one request, proved against one checkpoint; see `Seal` for its cosignatures."""

    entries: Sequence[Entry]
    acknowledgements: Sequence[Acknowledgement]
    checkpoint: str
    cosignatures: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events that a durable consumer hands in: recorded as handled in the commit of their effect.

    With a `position` (of the last event in its stream) the head of the log records it, and no inbox is needed.
    """

    consumer: str
    events: Sequence[object]
    position: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """One growth of a log: all of it is written, or nothing. The first entry stands where the old head ends."""

    old: Head
    new: Head
    entries: Sequence[SealedEntry]
    growth: Growth = field(repr=False)
    deliveries: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as the gateway recorded it; `sealed_client` is sealed for the way."""

    call_id: str
    account_id: str
    key_id: str
    method: str
    protocol: str
    status: int
    reason: str
    called_at: datetime
    latency_us: int
    sealed_client: bytes = field(repr=False)
    signed: bool = False
    sequence: int = 0


class LogTurn(Protocol):
    """One commit of a log while all other writers of it wait."""

    async def begin(self, entry_ids: Sequence[str]) -> tuple[Head | None, Mapping[str, Known]]:
        """Waits for its turn, then reads the head and those of the entries that exist already."""
        ...

    async def admitted(self, tokens: Collection[bytes]) -> set[bytes]:
        """Locks the subjects of these tokens and returns those that are not fenced."""
        ...

    async def keys(self, subjects: Sequence[Subject]) -> Mapping[Subject, DataKey]:
        """The data keys of subjects; makes those that are missing."""
        ...

    async def swap(self, commit: Commit) -> bool:
        """Writes the commit when its old head still stands and its keys exist; otherwise nothing, and False."""
        ...


class TreeStore(Protocol):
    """The parts of a log that a tree is read from. A leaf and a full tile never change."""

    async def head(self) -> Head:
        """Reads the head."""
        ...

    async def leaves(self, start: int, end: int) -> Sequence[bytes]:
        """Reads the leaves from start up to but without end, or without the first that is cut or not there."""
        ...

    async def tile(self, level: int, place: int) -> bytes:
        """Reads the hashes of a tile of level 1 or more as far as they are there."""
        ...


class LogStore(TreeStore, Protocol):
    """Where one log is kept."""

    @property
    def log(self) -> Log:
        """Which log."""
        ...

    def turn(self) -> AbstractAsyncContextManager[LogTurn]:
        """A commit in turn: what happens inside is durable when the block has ended well, or has not happened."""
        ...

    async def swap(self, commit: Commit) -> bool:
        """Writes a commit in one statement, without waiting for a turn.

        Returns False when nothing was written: the head has moved on, a key is gone, or an entry id is known.
        """
        ...

    async def make_days(self, days: Sequence[date]) -> None:
        """Makes room for entries of these days."""
        ...

    async def create_head(self, head: Head) -> None:
        """Writes the first head; does nothing when there is one."""
        ...

    async def follows_stream(self, made_at: datetime) -> bool:
        """Whether the stream behind the log was made then; the first one that is asked for is."""
        ...

    async def restart_stream(self, made_at: datetime) -> None:
        """Forgets how far the stream behind the log had come: another one is behind it, made then."""
        ...

    def forget_days(self) -> None:
        """Reads anew where the days begin: some were cut."""
        ...

    async def entry(self, index: int) -> Entry | None:
        """Reads an entry with its opening."""
        ...

    async def entries(self, places: Sequence[Place]) -> Sequence[Entry]:
        """Reads entries with their openings, in log order; those that are cut are missing."""
        ...

    async def entries_of(self, request_id: str) -> Sequence[Entry]:
        """Reads the entries of a request in log order."""
        ...


@dataclass(frozen=True, slots=True)
class CutPlan:
    """What a cut does: the log loses its entries from `start` up to but without `end`, and all days up to `day`.

    `root` is that of the tree of size `end`: it stays provable. `kept_leaves` are those below `end` that share a tile
    of level 0 with living ones.
    """

    log: Log
    day: date
    start: int
    end: int
    root: bytes
    kept_leaves: Sequence[bytes] = field(repr=False, default=())


class CutStore(Protocol):
    """Where a log is cut."""

    async def end(self, log: Log, day: date) -> int:
        """Index of the first entry after the day: the new minimum index."""
        ...

    async def cut(self, plan: CutPlan) -> None:
        """Takes the days of the plan out of the log and advances the minimum index, in one commit."""
        ...

    async def drop(self) -> None:
        """Drops what cuts have taken out."""
        ...
