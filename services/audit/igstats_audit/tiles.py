"""The tree of a log in tiles of 256 hashes: from memory, else from the disk, else from the rows.

A full tile never changes, so memory and disk need no protection from each other: whatever is missing is made again.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from igstats_kit.clock import woken
from igstats_kit.errors import DomainError, Reason

from igstats_audit.errors import LogForkedError, TileMissingError
from igstats_audit.model import Head, LogStore, TreeStore
from igstats_audit.note import NoteSigner
from igstats_audit.tile_disk import TileDisk
from igstats_audit.tile_path import (
    CHECKPOINT,
    KEYS,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TilePathError,
    bundle,
    parse,
    written,
)
from igstats_audit.tree import HASH_SIZE, Node, leaf_hash

TILES_IN_MEMORY = 4_096
_REST_SECONDS = 1.0


class Subtree:
    """The hashes of a tile and all hashes between them and the tile above: a row for each of its 8 levels."""

    __slots__ = ("rows", "width")

    def __init__(self, hashes: bytes) -> None:
        self.width = len(hashes) // HASH_SIZE
        self.rows = [hashes]
        sha256, pair = hashlib.sha256, 2 * HASH_SIZE
        for _ in range(TILE_HEIGHT - 1):
            below = self.rows[-1]
            whole = len(below) // pair * pair
            parents = [sha256(b"\x01" + below[at : at + pair]).digest() for at in range(0, whole, pair)]
            self.rows.append(b"".join(parents))

    def node(self, level: int, place: int) -> bytes:
        """Hash of a node; level and place are counted within the tile."""
        return self.rows[level][place * HASH_SIZE : (place + 1) * HASH_SIZE]


class Tiles:
    """The tiles of one log."""

    def __init__(self, store: TreeStore, disk: TileDisk | None = None, *, in_memory: int = TILES_IN_MEMORY) -> None:
        self._store = store
        self._disk = disk
        self._in_memory = in_memory
        self._memory: OrderedDict[tuple[int, int], Subtree] = OrderedDict()

    def at_hand(self, level: int, place: int, width: int) -> Subtree | None:
        """A tile in memory that has at least so many hashes."""
        found = self._memory.get((level, place))
        return found if found is not None and found.width >= width else None

    async def subtree(self, level: int, place: int, width: int) -> Subtree:
        """A tile that has at least so many hashes.

        Raises:
            TileMissingError: They are cut, or lost.
        """
        found = self.at_hand(level, place, width)
        if found is None:
            found = Subtree(await self._read(level, place))
            if found.width < width:
                raise TileMissingError(written(Tile(level, place, width)))
            self._memory[level, place] = found
            if len(self._memory) > self._in_memory:
                self._memory.popitem(last=False)
        self._memory.move_to_end((level, place))
        return found

    async def node(self, node: Node) -> bytes:
        """Hash of a complete subtree; raises TileMissingError."""
        level, inner = divmod(node.level, TILE_HEIGHT)
        place = node.place >> (TILE_HEIGHT - inner)
        at = node.place - (place << (TILE_HEIGHT - inner))
        return (await self.subtree(level, place, (at + 1) << inner)).node(inner, at)

    async def hashes(self, tile: Tile) -> bytes:
        """The hashes of a tile, as many as its width says; raises TileMissingError."""
        held = self.at_hand(tile.level or 0, tile.place, tile.width)
        found = held.rows[0] if held is not None else await self._read(tile.level or 0, tile.place)
        if len(found) < tile.width * HASH_SIZE:
            raise TileMissingError(written(tile))
        return found[: tile.width * HASH_SIZE]

    async def leaves(self, tile: Tile) -> bytes:
        """The bundle of a tile of level 0; raises TileMissingError."""
        if tile.full and (kept := await self._kept(tile)) is not None:
            return kept
        start = tile.place << TILE_HEIGHT
        found = await self._store.leaves(start, start + tile.width)
        if len(found) != tile.width:
            raise TileMissingError(written(tile))
        made = bundle(found)
        if tile.full:
            await self._keep(tile, made)
        return made

    async def keep(self, tile: Tile) -> bool:
        """Has the file of a full tile or bundle on the disk; False when the disk does not take it.

        Raises:
            TileMissingError: It is cut, or lost.
        """
        if self._disk is None:
            return False
        if await asyncio.to_thread(self._disk.has, tile):
            return True
        content = await (self.leaves if tile.level is None else self.hashes)(tile)
        return await asyncio.to_thread(self._disk.has, tile) or await self._keep(tile, content)

    async def prune(self, minimum_index: int) -> None:
        """Forgets what lies below the minimum index; raises OSError when the disk does not."""
        for level, place in list(self._memory):
            if level == 0 and Tile(0, place).end <= minimum_index:
                self._memory.pop((level, place), None)
        if self._disk is not None:
            await asyncio.to_thread(self._disk.prune, minimum_index)

    async def _read(self, level: int, place: int) -> bytes:
        """The hashes of a tile as far as they are there."""
        whole = Tile(level, place)
        if (kept := await self._kept(whole)) is not None:
            return kept
        if level:
            made = await self._store.tile(level, place)
        else:
            start = place << TILE_HEIGHT
            made = b"".join(map(leaf_hash, await self._store.leaves(start, start + TILE_WIDTH)))
        if len(made) == TILE_WIDTH * HASH_SIZE:
            await self._keep(whole, made)
        return made

    async def _kept(self, tile: Tile) -> bytes | None:
        return None if self._disk is None else await asyncio.to_thread(self._disk.read, tile)

    async def _keep(self, tile: Tile, content: bytes) -> bool:
        return self._disk is not None and await asyncio.to_thread(self._disk.write, tile, content)


class TileReader:
    """The files of one log, as anyone may read them: checkpoint, tiles, bundles."""

    def __init__(self, store: LogStore, tiles: Tiles, signer: NoteSigner) -> None:
        self._store = store
        self._tiles = tiles
        self._signer = signer
        self._checkpoint = ("", "")
        self._published = 0

    async def file(self, path: str) -> tuple[bytes, bool]:
        """A file, and whether it can never change.

        Raises:
            DomainError: LOG_FILE_NOT_FOUND; ENTRY_CUT; LOG_FILE_LOST: it must be there, and cannot be made.
        """
        if path == KEYS:
            return "".join(f"{key}\n" for key in self._signer.verifier_keys).encode(), False
        try:
            tile = parse(path)
        except TilePathError:
            raise self._not_found(path) from None
        head = await self._store.head()
        if tile is None:
            return self.checkpoint(head).encode(), False
        if tile.place * TILE_WIDTH + tile.width > head.tree.size >> (TILE_HEIGHT * (tile.level or 0)):
            raise self._not_found(path)
        self._require_kept(tile, head)
        read = self._tiles.leaves if tile.level is None else self._tiles.hashes
        try:
            return await read(tile), tile.full
        except TileMissingError:
            self._require_kept(tile, await self._store.head())  # a cut may have taken it meanwhile
            raise DomainError(Reason.LOG_FILE_LOST, log=self._store.log, path=path) from None

    def _require_kept(self, tile: Tile, head: Head) -> None:
        if not tile.level and tile.end <= head.minimum_index:
            raise DomainError(Reason.ENTRY_CUT, log=self._store.log, minimum_index=str(head.minimum_index))

    def checkpoint(self, head: Head) -> str:
        """The checkpoint of a head with all signatures of the log; the dear one is made once a head.

        Raises:
            DomainError: LOG_FILE_LOST: what stands in the head is not what this log has signed.
        """
        if self._checkpoint[0] != head.checkpoint:
            try:
                self._checkpoint = (head.checkpoint, self._signer.complete(head.checkpoint))
            except ValueError:
                raise DomainError(Reason.LOG_FILE_LOST, log=self._store.log, path=CHECKPOINT) from None
        return self._checkpoint[1]

    def attach(self, head: Head, cosignatures: Sequence[str]) -> None:
        """Adds cosignatures to the checkpoint of a head, as long as that is the newest."""
        if self._checkpoint[0] == head.checkpoint:
            self._checkpoint = (head.checkpoint, "".join((self._checkpoint[1], *cosignatures)))

    async def run(self, grown: asyncio.Event) -> None:
        """Writes full tiles and bundles to the disk whenever the log rests, until cancelled: appends come first."""
        while True:
            await grown.wait()
            grown.clear()
            while await woken(grown, _REST_SECONDS):
                grown.clear()
            await self.publish(grown)

    async def publish(self, grown: asyncio.Event | None = None) -> None:
        """Writes those that became full since the last time.

        What is left when the log grows meanwhile, or the disk takes no more, is for the next time.
        """
        try:
            head = await self._store.head()
            start = max(self._published, head.minimum_index >> TILE_HEIGHT)
            for place in range(start, head.tree.size >> TILE_HEIGHT):
                if grown is not None and grown.is_set():
                    return
                if not all([await self._tiles.keep(tile) for tile in (Tile(None, place), Tile(0, place))]):
                    return
                self._published = place + 1
        except (DomainError, TileMissingError, LogForkedError):
            return  # a cache: whoever asks for the file will have it made, or hear why not

    def _not_found(self, path: str) -> DomainError:
        return DomainError(Reason.LOG_FILE_NOT_FOUND, log=self._store.log, path=path)
