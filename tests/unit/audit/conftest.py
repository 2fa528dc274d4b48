"""A log in memory behind the sequencer's seam, with faults on command."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.batch import seal_context
from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.leaf import SALT_SIZE
from igstats_audit.model import Commit, DataKey, Delivery, Entry, Head, Known, Log, Place, SealedEntry, Subject
from igstats_audit.note import NoteSigner
from igstats_audit.tile_path import TILE_HEIGHT, TILE_WIDTH

HASH_SIZE = 32


@dataclass
class MemoryLog:
    """A LogStore. `failures` are raised one by one by commits, `overtaken` commits find that the head has moved, and
    no commit begins while the `gate` is closed. Keys of `damaged` subjects do not open; when they are `lost`, none."""

    log: Log = Log.EVIDENCE
    newest: Head | None = None
    kept: list[Entry] = field(default_factory=list)
    rows: dict[tuple[int, int], bytes] = field(default_factory=dict)
    claimed: list[Delivery] = field(default_factory=list)
    commits: int = 0
    turns: int = 0
    failures: list[Exception] = field(default_factory=list)
    overtaken: int = 0
    fenced: set[bytes] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    lost: bool = False
    data_keys: dict[str, DataKey] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator["MemoryTurn"]:
        turn = MemoryTurn(self)
        yield turn
        self.turns += 1
        if turn.commit is not None:
            self._write(turn.commit)

    async def swap(self, commit: Commit) -> bool:
        await self.pass_gate()
        known = {one.entry_id for one in self.kept} & {one.new.entry_id for one in commit.entries}
        if known or not self.fits(commit):
            return False
        self._write(commit)
        return True

    async def pass_gate(self) -> None:
        self.waiting.set()
        await self.gate.wait()

    def fits(self, commit: Commit) -> bool:
        if any("\0" in one.new.entry_id for one in commit.entries):
            raise ValueError("PostgreSQL takes no zero in a text")
        if self.overtaken:
            self.overtaken -= 1
            return False
        keys = {one.key_id for one in commit.entries} - {""}
        return commit.old == self.newest and keys <= {key.key_id for key in self.data_keys.values()}

    def _write(self, commit: Commit) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.commits += 1
        self.claimed += commit.deliveries
        self.newest = commit.new
        self.kept += [self._entry(len(self.kept) + at, one, commit.new.day) for at, one in enumerate(commit.entries)]
        for level in range(TILE_HEIGHT, len(commit.growth.rows), TILE_HEIGHT):
            first, hashes = commit.growth.rows[level]
            for at, value in enumerate(hashes, start=first):
                place = level // TILE_HEIGHT, at // TILE_WIDTH
                self.rows[place] = self.rows.get(place, b"") + value

    def _entry(self, index: int, one: SealedEntry, day: date) -> Entry:
        new, salt, payload = one.new, b"", b""
        if one.key_id:
            (key,) = [key for key in self.data_keys.values() if key.key_id == one.key_id]
            plain = key.sealer.open(one.sealed, seal_context(self.log, key.key_id))
            salt, payload = plain[:SALT_SIZE], plain[SALT_SIZE:]
        names = (new.entry_id, new.kind, new.request_id, new.producer, new.sequence)
        return Entry(index, day, *names, one.leaf, salt, payload, new.occurred_at)

    async def make_days(self, days: Sequence[date]) -> None:
        assert days

    async def create_head(self, head: Head) -> None:
        self.newest = self.newest or head

    async def follows_stream(self, made_at: datetime) -> bool:
        raise NotImplementedError

    async def restart_stream(self, made_at: datetime) -> None:
        raise NotImplementedError

    def forget_days(self) -> None:
        raise NotImplementedError

    async def head(self) -> Head:
        assert self.newest is not None
        return self.newest

    async def leaves(self, start: int, end: int) -> Sequence[bytes]:
        return [one.leaf for one in self.kept[start:end]]

    async def tile(self, level: int, place: int) -> bytes:
        return self.rows.get((level, place), b"")

    async def entry(self, index: int) -> Entry | None:
        return self.kept[index] if index < len(self.kept) else None

    async def entries(self, places: Sequence[Place]) -> Sequence[Entry]:
        return [self.kept[place.index] for place in places]

    async def entries_of(self, request_id: str) -> Sequence[Entry]:
        return [entry for entry in self.kept if entry.request_id == request_id]


@dataclass
class MemoryTurn:
    log: MemoryLog
    commit: Commit | None = None

    async def begin(self, entry_ids: Sequence[str]) -> tuple[Head | None, Mapping[str, Known]]:
        await self.log.pass_gate()
        wanted = set(entry_ids)
        kept = [one for one in self.log.kept if one.entry_id in wanted]
        known = {one.entry_id: Known(one.index, one.request_id, one.leaf, one.salt) for one in kept}
        return self.log.newest, known

    async def admitted(self, tokens: Collection[bytes]) -> set[bytes]:
        return set(tokens) - self.log.fenced

    async def keys(self, subjects: Sequence[Subject]) -> Mapping[Subject, DataKey]:
        if self.log.lost:
            raise KeyLostError({"kek_1": 1})
        if damaged := sorted(self.log.damaged & {one.name for one in subjects}):
            raise KeyDamagedError(f"key_{damaged[0]}", damaged)
        for one in subjects:
            self.log.data_keys.setdefault(one.name, DataKey(f"key_{one.name}", secrets.token_bytes(32)))
        return {one: self.log.data_keys[one.name] for one in subjects}

    async def swap(self, commit: Commit) -> bool:
        if not self.log.fits(commit):
            return False
        self.commit = commit
        return True


@pytest.fixture
def memory_log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture(scope="session")
def note_signer() -> NoteSigner:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return NoteSigner("igstats.test/evidence", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
