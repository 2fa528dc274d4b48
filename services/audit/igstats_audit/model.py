"""What the audit service works with: entries of the evidence log, calls of the API log, and the seams to storage."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple, Protocol

from igstats_audit.tree import Node, Range

RECEIPT_ISSUED = "receipt.issued"
REQUEST_CLOSED = "request.closed"


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Something to append. Whoever repeats an entry id gets the place of the first."""

    entry_id: str
    kind: str
    request_id: str
    producer: str
    payload: bytes = field(repr=False)
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in its place, with its opening: salt and payload are what its leaf commits to."""

    index: int
    entry_id: str
    kind: str
    request_id: str
    producer: str
    leaf: bytes
    salt: bytes
    payload: bytes = field(repr=False)
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """Where an entry id already is, and what stands there."""

    index: int
    leaf: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The newest state of the log. `epoch` counts the commits: a writer that has missed one cannot commit."""

    tree: Range
    epoch: int
    checkpoint: str


@dataclass(frozen=True, slots=True)
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
class RequestEvidence:
    """Everything the log holds about one request, proved against one checkpoint."""

    entries: Sequence[Entry]
    acknowledgements: Sequence[Acknowledgement]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events that a durable consumer hands in: recorded as handled in the commit of their effect."""

    consumer: str
    events: Sequence[object]


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

    @property
    def day(self) -> date:
        """The day (UTC) whose partition keeps it."""
        return self.called_at.date()


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call as it is kept: sealed with our own key, and findable by its account's token."""

    record: CallRecord
    subject_token: bytes | None


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of calls: kept, or refused because their account is fenced. Repeated ones are neither."""

    kept: int
    refused: int


class Bookmark(NamedTuple):
    """The last call of a page."""

    called_at: datetime
    call_id: str


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls of an account to read, newest first: after a bookmark, only of days since, only one id if given."""

    account_id: str
    subject_token: bytes
    since: date
    limit: int
    call_id: str = ""
    after: Bookmark | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its account reads it."""

    record: CallRecord
    ip_address: str = field(repr=False)
    user_agent: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallPage:
    """Calls, newest first; the token is empty at the end."""

    calls: Sequence[Call]
    next_page_token: str


class LogTransaction(Protocol):
    """One commit of the log, alone while it lasts."""

    async def begin(self, entry_ids: Sequence[str]) -> tuple[Head | None, Mapping[str, Known]]:
        """Waits for its turn, then reads the head and those of the entries that exist already."""
        ...

    async def claim(self, delivery: Delivery) -> None:
        """Records events as handled."""
        ...

    async def swap(self, old: Head, new: Head, entries: Sequence[Entry], nodes: Mapping[Node, bytes]) -> bool:
        """Writes entries, nodes and the new head when the old head still stands; otherwise nothing, and False."""
        ...


class LogStore(Protocol):
    """Where the log is kept. Complete subtrees never change, so that all reads below a head's size agree."""

    def transaction(self) -> AbstractAsyncContextManager[LogTransaction]:
        """A commit: what happens inside is durable when the block has ended well, or has not happened."""
        ...

    async def create_head(self, head: Head) -> None:
        """Writes the first head; does nothing when there is one."""
        ...

    async def head(self) -> Head:
        """Reads the head."""
        ...

    async def nodes(self, nodes: Sequence[Node]) -> Mapping[Node, bytes]:
        """Reads hashes of complete subtrees."""
        ...

    async def entry(self, index: int) -> Entry | None:
        """Reads an entry."""
        ...

    async def entries_of(self, request_id: str) -> Sequence[Entry]:
        """Reads the entries of a request in log order."""
        ...


class CallStore(Protocol):
    """Where the API log is kept."""

    async def ensure_days(self, days: Sequence[date]) -> None:
        """Makes room for calls of these days."""
        ...

    async def add(self, delivery: Delivery, calls: Sequence[StoredCall]) -> Admission:
        """Keeps the calls of accounts that are not fenced, each once, and records the events as handled."""
        ...

    async def find(self, query: CallQuery) -> Sequence[CallRecord]:
        """Reads calls, newest first; raises DomainError when the account is fenced."""
        ...
