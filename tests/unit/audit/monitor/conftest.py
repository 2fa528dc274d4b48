"""A log in memory, row by row, that a test may change as somebody with the database could."""

import bisect
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.leaf import SIZE, Leaf, commitment, encode
from igstats_audit.model import Log
from igstats_audit.monitor.heads import Keys
from igstats_audit.monitor.look import Looker
from igstats_audit.monitor.memory import Memory
from igstats_audit.monitor.model import EntryRow, HeadRow, IndexRow, Opening, OpeningState, Stray
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.tile_path import bundle, parse
from igstats_audit.tree import HASH_SIZE, Range, grow, leaf_hash

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SALT = b"s" * 32
PRODUCERS = ("stats", "privacy", "gateway")


def signer(origin: str, first: int = 0) -> NoteSigner:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32)))
    return NoteSigner(origin, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class World:
    """One evidence log with its rows and its files; also what a monitor reads it with."""

    log = Log.EVIDENCE

    def __init__(self) -> None:
        self.signer = signer("igstats.test/evidence")
        self.rows: list[EntryRow] = []
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.tree = Range()
        self.table: dict[tuple[int, int], bytes] = {}
        self.made: dict[str, bytes] = {}
        self.openings: dict[int, Opening] = {}
        self.minimum = 0
        self.epoch = 0
        self.position = 0
        self.leads: dict[str, IndexRow] = {}
        self.erased: set[str] = set()
        self.strayed: list[Stray] = []
        self.shapeless: list[tuple[int, int]] = []
        self.cuts: set[int] = set()
        self.renamings: dict[str, str] = {}
        self.numbers = dict.fromkeys(PRODUCERS, 0)
        self.memory = Memory.new(self.log)
        self.sign()

    def grow(self, count: int) -> None:
        """Appends entries of three producers, with their tiles, and signs."""
        fresh = [self.entry(index, PRODUCERS[index % 3]) for index in range(self.size, self.size + count)]
        self.append(fresh)

    def entry(self, index: int, producer: str, sequence: int = 0) -> EntryRow:
        self.numbers[producer] = number = sequence or self.numbers[producer] + 1
        payload = f"payload {index}".encode()
        leaf = encode(Leaf("test.made", producer, number, START, commitment(SALT, payload)))
        return EntryRow(index, leaf, "key", payload, number, "test.made", producer, "", START)

    def append(self, fresh: Sequence[EntryRow]) -> None:
        growth = grow(self.tree, [leaf_hash(row.leaf) for row in fresh])
        self.rows += fresh
        self.nodes |= {(node.level, node.place): value for node, value in growth.nodes.items()}
        self.tree = growth.after
        for (level, place), value in sorted(growth.nodes.items()):
            if level and level % 8 == 0:
                at = (level // 8, place // 256)
                self.table[at] = self.table.get(at, b"") + value
        self.sign()

    def sign(self) -> None:
        checkpoint = Checkpoint(self.signer.name, self.tree.size, self.tree.root)
        note, whole = self.signer.sign(checkpoint.text), b"".join(self.tree.hashes)
        self.epoch += 1
        self.row: HeadRow | None = HeadRow(
            size=self.tree.size,
            root=self.tree.root,
            compact_range=whole,
            checkpoint=note,
            minimum_index=self.minimum,
            epoch=self.epoch,
            stream_sequence=self.position,
            stream_made_at=None,
            day=START.date(),
            newest_day=START.date() if self.rows else None,
            oldest_index=self.minimum if self.rows else None,
            parked=0,
        )
        self.made["checkpoint"] = note.encode()

    def cut(self, minimum: int) -> None:
        """Drops entries as a cut does; leaves that share a tile with living ones stay as hashes."""
        start = minimum // 256 * 256
        kept = [row.leaf for row in self.rows if start <= row.index < minimum]
        self.table[0, minimum // 256] = b"".join(kept)
        self.rows = [row for row in self.rows if row.index >= minimum]
        self.minimum = minimum
        self.cuts.add(minimum)
        self.sign()

    def change(self, index: int, **columns: object) -> None:
        """Changes columns of an entry."""
        at = next(at for at, row in enumerate(self.rows) if row.index == index)
        self.rows[at] = replace(self.rows[at], **columns)  # type: ignore[arg-type]  # columns by name

    @property
    def size(self) -> int:
        return self.tree.size

    def looker(self) -> Looker:
        return Looker(self, self, Keys.of(self.signer.verifier_keys), self.memory, 30)

    async def places(self, *, whole: bool = True, now: datetime = START) -> list[str]:
        """Kind and place of everything that a look finds."""
        found = await self.looker().look(now, whole=whole)
        return [f"{one.kind} {one.place}" for one in found]

    async def head(self) -> HeadRow | None:
        return self.row

    async def announced(self, minimum_index: int) -> bool:
        return minimum_index in self.cuts

    async def renamed(self, name: str) -> str:
        return self.renamings.get(name, "")

    async def beyond(self, size: int) -> list[int]:
        return [row.index for row in self.rows if self.row and row.index >= max(size, self.row.size)]

    async def misshapen(self) -> list[tuple[int, int]]:
        return self.shapeless

    async def tiles(self, level: int, places: Sequence[int]) -> dict[int, bytes]:
        return {place: self.table[level, place] for place in places if (level, place) in self.table}

    async def entries(self, start: int, end: int) -> list[EntryRow]:
        first, last = (bisect.bisect_left(self.rows, at, key=lambda row: row.index) for at in (start, end))
        return self.rows[first:last]

    async def open(self, rows: Sequence[EntryRow]) -> list[Opening]:
        return [self.openings.get(row.index, Opening(OpeningState.OPENED, SALT, row.sealed)) for row in rows]

    def day(self, index: int) -> date | None:
        return START.date() if index >= self.minimum else None

    async def leading(self, names: Sequence[str], _days: Collection[date]) -> Sequence[IndexRow]:
        return [self.leads[name] for name in names if name in self.leads]

    async def standing(self, key_ids: Collection[str]) -> dict[str, str]:
        return {key_id: "" for key_id in key_ids if key_id not in self.erased}

    async def strays(self) -> AsyncIterator[Stray]:
        for stray in self.strayed:
            yield stray

    async def file(self, path: str) -> bytes | None:
        if path in self.made:
            return self.made[path]
        tile = parse(path)
        assert tile is not None
        first, end = tile.place * 256, tile.place * 256 + tile.width
        if tile.level:
            return self.table.get((tile.level, tile.place), b"")[: tile.width * HASH_SIZE]
        kept = self.table.get((0, tile.place), b"")
        leaves = [kept[at : at + SIZE] for at in range(0, len(kept), SIZE)]
        leaves += [row.leaf for row in await self.entries(first, end)]
        return bundle(leaves) if tile.level is None else b"".join(map(leaf_hash, leaves))

    async def publish(self) -> None:
        """Keeps the full files as the cache does: from now on they are served whatever the rows say."""
        for place in range(self.minimum // 256, self.size // 256):
            for kind in ("0", "entries"):
                self.made[f"tile/{kind}/{place:03d}"] = await self.file(f"tile/{kind}/{place:03d}") or b""


@pytest.fixture
def world() -> World:
    made = World()
    made.grow(700)
    return made


class Calls(World):
    """The same for the access log, as far as its rows have what the evidence log has."""

    log = Log.ACCESS


@pytest.fixture
def calls() -> World:
    made = Calls()
    made.grow(100)
    return made
