"""A log in memory behind the sequencer's seam, with faults on command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.model import Delivery, Entry, Head, Known
from igstats_audit.note import NoteSigner
from igstats_audit.tree import Node, leaf_hash


@dataclass
class MemoryLog:
    """A LogStore. `failures` are raised one by one by commits, `overtaken` commits find that the head has moved, and
    no commit begins while the `gate` is closed."""

    newest: Head | None = None
    kept: list[Entry] = field(default_factory=list)
    inner: dict[Node, bytes] = field(default_factory=dict)
    claimed: list[Delivery] = field(default_factory=list)
    commits: int = 0
    failures: list[Exception] = field(default_factory=list)
    overtaken: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["MemoryTransaction"]:
        transaction = MemoryTransaction(self)
        yield transaction
        if self.failures:
            raise self.failures.pop(0)
        self.commits += 1
        self.claimed += transaction.claimed
        if transaction.head is not None:
            self.newest = transaction.head
            self.kept += transaction.added
            self.inner |= transaction.grown

    async def create_head(self, head: Head) -> None:
        self.newest = self.newest or head

    async def head(self) -> Head:
        assert self.newest is not None
        return self.newest

    async def nodes(self, nodes: Sequence[Node]) -> Mapping[Node, bytes]:
        leaves = {Node(0, entry.index): leaf_hash(entry.leaf) for entry in self.kept}
        return {node: (self.inner | leaves)[node] for node in nodes}

    async def entry(self, index: int) -> Entry | None:
        return self.kept[index] if index < len(self.kept) else None

    async def entries_of(self, request_id: str) -> Sequence[Entry]:
        return [entry for entry in self.kept if entry.request_id == request_id]


@dataclass
class MemoryTransaction:
    log: MemoryLog
    head: Head | None = None
    added: list[Entry] = field(default_factory=list)
    grown: dict[Node, bytes] = field(default_factory=dict)
    claimed: list[Delivery] = field(default_factory=list)

    async def begin(self, entry_ids: Sequence[str]) -> tuple[Head | None, Mapping[str, Known]]:
        self.log.waiting.set()
        await self.log.gate.wait()
        wanted = set(entry_ids)
        known = {one.entry_id: Known(one.index, one.leaf, one.salt) for one in self.log.kept if one.entry_id in wanted}
        return self.log.newest, known

    async def claim(self, delivery: Delivery) -> None:
        self.claimed.append(delivery)

    async def swap(self, old: Head, new: Head, entries: Sequence[Entry], nodes: Mapping[Node, bytes]) -> bool:
        if self.log.overtaken:
            self.log.overtaken -= 1
            return False
        if any("\0" in entry.entry_id for entry in entries):
            raise ValueError("PostgreSQL takes no zero in a text")
        assert old == self.log.newest
        self.head, self.added = new, list(entries)
        self.grown = {node: value for node, value in nodes.items() if node.level}
        return True


@pytest.fixture
def memory_log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture(scope="session")
def note_signer() -> NoteSigner:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return NoteSigner("igstats.test/evidence", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
