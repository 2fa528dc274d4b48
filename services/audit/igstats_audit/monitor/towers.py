"""Checks the tiles above the leaves, from the top down: rows of the table, and files as they are served."""

from collections.abc import Iterator, Sequence

from igstats_audit.monitor.model import FindingKind
from igstats_audit.monitor.scene import Scene
from igstats_audit.monitor.tiling import Claim, Hashes, holds, leaf_hashes, place_of, resolve, row_root, split
from igstats_audit.tile_path import TILE_WIDTH, TilePathError, path

_AT_ONCE = 64


async def check_tiles(scene: Scene) -> None:
    """Checks every tile of level 1 and above over the leaves that this look goes through."""
    known = scene.known
    for level in range(known.top, 0, -1):
        for places in _chunks(known.places(level, scene.since)):
            stored = await scene.rows.tiles(level, places)
            for place in places:
                claims = known.claims(level, place)
                if claims is not None:
                    await _check_tile(scene, level, place, stored.get(place, b""), claims)
    for size in scene.remembered(max(0, scene.since - 1), known.tree.size):
        if size % TILE_WIDTH == 0:
            scene.compare(size)


async def check_shapes(scene: Scene) -> None:
    """Names rows of tiles with bytes that no tile has, and rows that are no tile's: the next commit adds to their end.

    A head that is not the signed one says nothing about them.
    """
    if scene.has(FindingKind.HEAD_CHANGED) or scene.has(FindingKind.CHECKPOINT_INVALID):
        return
    for level, place in await scene.rows.misshapen():
        try:
            scene.tell(FindingKind.TILE_CHANGED, place_of(level, place), "its row is not as long as the tile")
        except TilePathError:
            scene.tell(FindingKind.TILE_CHANGED, f"row {level}/{place}", "a row of tiles that is no tile's")


async def _check_tile(scene: Scene, level: int, place: int, stored: bytes, claims: Sequence[Claim]) -> None:
    known = scene.known
    hashes: Hashes | None = split(stored, known.width(level, place))
    if not holds(hashes or (), claims):
        words = "its row is missing" if not stored else "its row does not make the hash above it"
        scene.tell(FindingKind.TILE_CHANGED, place_of(level, place), words)
        hashes = resolve(hashes or (), await _below(scene, level, place), claims)
    if hashes is None:
        return
    known.tiles[level, place] = list(hashes)
    await check_file(scene, level, place, hashes, stored)


async def check_file(scene: Scene, level: int, place: int, hashes: Hashes, stored: bytes) -> None:
    """Compares a tile as it is served with what is known. One that repeats its wrong row is not told twice."""
    width = len(hashes)
    served = await scene.files.file(path(level, place, width))
    right = b"".join(one for one in hashes if one is not None)
    words = served.fault
    if served.content is not None and served.content not in {right, stored[: len(right)]}:
        words = "the served file is not the tile of the tree"
    if words:
        scene.tell(FindingKind.TILE_CHANGED, place_of(level, place), words)


async def _below(scene: Scene, level: int, place: int) -> Hashes:
    """What the level below says that a tile is."""
    width, first = scene.known.width(level, place), place * TILE_WIDTH
    if level > 1:
        children = await scene.rows.tiles(level - 1, range(first, first + width))
        rows = [split(children.get(first + at, b""), TILE_WIDTH) for at in range(width)]
        return [_folded(row) for row in rows]
    found: list[bytes | None] = []
    for at in range(first, first + width):
        entries = await scene.rows.entries(at * TILE_WIDTH, (at + 1) * TILE_WIDTH)
        found.append(_folded(leaf_hashes(row.leaf for row in entries)))
    return found


def _folded(row: Hashes) -> bytes | None:
    known = [one for one in row if one is not None]
    return row_root(known) if len(known) == TILE_WIDTH else None


def _chunks(places: range) -> Iterator[range]:
    for start in range(places.start, places.stop, _AT_ONCE):
        yield range(start, min(start + _AT_ONCE, places.stop))
