"""Reads proofs from the tiles of a log: what to fetch, and what to make of it."""

from collections.abc import Sequence

from igstats_kit.errors import DomainError, Reason

from igstats_audit.errors import TileMissingError
from igstats_audit.model import Entry, Head, LogStore
from igstats_audit.tile_path import TILE_HEIGHT, TILE_WIDTH
from igstats_audit.tiles import Tiles
from igstats_audit.tree import HASH_SIZE, Range, Span, consistency_spans, ends, nodes_of, path, peak_level, peaks

_SIZES_KEPT = 64
_TILES_KEPT = 4_096

Ends = dict[int, tuple[bytes, ...]]


class Proofs:
    """A log towards those who check it."""

    def __init__(self, store: LogStore, tiles: Tiles) -> None:
        self._store = store
        self._tiles = tiles
        self._ends: dict[int, Ends] = {}
        self._shared: dict[int, list[bytes]] = {}
        self._shared_size = 0

    async def head(self) -> Head:
        """The newest state."""
        return await self._store.head()

    async def entry(self, index: int) -> Entry:
        """One entry with its opening.

        Raises:
            DomainError: ENTRY_NOT_FOUND, ENTRY_CUT.
        """
        found = await self._store.entry(index)
        if found is None:
            raise self._missing(index, await self._store.head())
        return found

    async def inclusion(self, index: int, size: int) -> tuple[list[bytes], int, str]:
        """Path, tree size, and the checkpoint of that size if it is the newest. Size 0 means the newest.

        Raises:
            DomainError: TREE_SIZE_INVALID, ENTRY_NOT_FOUND, ENTRY_CUT.
        """
        head = await self._store.head()
        wanted = size or head.tree.size
        if wanted > head.tree.size:
            raise _size_invalid(size)
        if index >= wanted or index < head.minimum_index:
            raise self._missing(index, head)
        if wanted == head.tree.size:
            self._know(head.tree)
        return await self.path(index, wanted), wanted, head.checkpoint if wanted == head.tree.size else ""

    async def inclusions(self, indexes: Sequence[int], tree: Range) -> list[list[bytes]]:
        """Paths of many living entries to the root of one tree; raises as `path`."""
        self._know(tree)
        return [await self.path(index, tree.size) for index in indexes]

    async def consistency(self, old: int, size: int) -> tuple[list[bytes], int]:
        """Path and the newer size. Size 0 means the newest.

        Raises:
            DomainError: TREE_SIZE_INVALID; ENTRY_CUT: the older size needs hashes that are cut.
        """
        head = await self._store.head()
        wanted = size or head.tree.size
        if wanted > head.tree.size or not 0 < old <= wanted:
            raise _size_invalid(old if wanted <= head.tree.size else wanted)
        spans = consistency_spans(old, wanted)
        try:
            hashes = {node: await self._tiles.node(node) for node in nodes_of(spans)}
        except TileMissingError:
            if old < head.minimum_index:
                raise self._cut(old) from None
            raise
        return path(spans, hashes), wanted

    async def path(self, index: int, size: int) -> list[bytes]:
        """Path of a living entry to the root of the tree of this size; without a wait, if memory holds all of it.

        Raises:
            TileMissingError: A part of the tree is lost.
        """
        found = self.path_at_hand(index, size)
        while found is None:
            await self._fetch(index, size)
            found = self.path_at_hand(index, size)
        return found

    def path_at_hand(self, index: int, size: int) -> list[bytes] | None:
        """The path, if memory holds all that it needs."""
        rest = self._ends.get(size)
        if rest is None:
            return None
        top = peak_level(index, size)
        found = self._siblings(index, 0, min(TILE_HEIGHT, top))
        above = list(rest[top]) if top < TILE_HEIGHT else self._above(index, size, top, rest[top])
        return None if found is None or above is None else found + above

    def _above(self, index: int, size: int, top: int, rest: Sequence[bytes]) -> list[bytes] | None:
        """How a path goes on above the tile of its leaf: alike for all 256, so kept for the size asked for last."""
        if size != self._shared_size or len(self._shared) >= _TILES_KEPT:
            self._shared_size, self._shared = size, {}
        place = index >> TILE_HEIGHT
        found = self._shared.get(place)
        if found is None:
            found = []
            for low in range(TILE_HEIGHT, top, TILE_HEIGHT):
                part = self._siblings(index, low, min(TILE_HEIGHT, top - low))
                if part is None:
                    return None
                found += part
            found += rest
            self._shared[place] = found
        return found

    def _siblings(self, index: int, low: int, height: int) -> list[bytes] | None:
        """What the way of a leaf passes within one tile, if that is in memory; a way of no height needs no tile."""
        if not height:
            return []
        inner, place = (index >> low) & (TILE_WIDTH - 1), index >> low >> TILE_HEIGHT
        tile = self._tiles.at_hand(low // TILE_HEIGHT, place, ((inner >> height) + 1) << height)
        if tile is None:
            return None
        found = []
        for row in tile.rows[:height]:
            start = (inner ^ 1) * HASH_SIZE
            found.append(row[start : start + HASH_SIZE])
            inner >>= 1
        return found

    async def root(self, size: int) -> bytes:
        """Root of the tree of a size; raises TileMissingError."""
        return (await self.tree(size)).root

    async def tree(self, size: int) -> Range:
        """The tree of a size; raises TileMissingError."""
        return Range(size, tuple([await self._tiles.node(node) for node in peaks(Span(0, size))]))

    async def _fetch(self, index: int, size: int) -> None:
        if size not in self._ends:
            self._know(await self.tree(size))
        top = peak_level(index, size)
        for low in range(0, top, TILE_HEIGHT):
            at, height = index >> low, min(TILE_HEIGHT, top - low)
            inner = at & (TILE_WIDTH - 1)
            await self._tiles.subtree(low // TILE_HEIGHT, at >> TILE_HEIGHT, ((inner >> height) + 1) << height)

    def _know(self, tree: Range) -> None:
        if tree.size not in self._ends:
            if len(self._ends) >= _SIZES_KEPT:
                self._ends.clear()
            self._ends[tree.size] = ends(tree)

    def _missing(self, index: int, head: Head) -> DomainError:
        if index < head.minimum_index:
            return self._cut(index)
        return DomainError(Reason.ENTRY_NOT_FOUND, log=self._store.log, index=str(index))

    def _cut(self, index: int) -> DomainError:
        return DomainError(Reason.ENTRY_CUT, log=self._store.log, index=str(index))


def _size_invalid(size: int) -> DomainError:
    return DomainError(Reason.TREE_SIZE_INVALID, size=str(size))
