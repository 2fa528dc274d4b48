"""Checks the entries, 256 at a time: rows against the tree, contents against their leaves, files as they are served."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from igstats_audit.leaf import SIZE
from igstats_audit.monitor.indexes import check_leads, misplaced
from igstats_audit.monitor.leaves import Block, content, doubles, hashes_of, numbered, rebuilt
from igstats_audit.monitor.model import EntryRow, FindingKind, Opening
from igstats_audit.monitor.scene import Scene
from igstats_audit.monitor.tiling import Hashes, holds, leaf_hashes, split
from igstats_audit.monitor.towers import check_file
from igstats_audit.tile_path import TILE_WIDTH, TilePathError, entries_path, leaves_of, path
from igstats_audit.tree import leaf_hash


async def check_blocks(scene: Scene) -> None:
    """Checks every entry that is kept from the block on where this look starts."""
    start = max(scene.since, scene.minimum)
    for place in scene.known.places(0, start):
        await _check_block(scene, place)
        scene.known.tiles.pop((0, place), None)


async def _check_block(scene: Scene, place: int) -> None:
    first = place * TILE_WIDTH
    end = first + scene.known.width(0, place)
    low = min(max(first, scene.minimum), end)
    rows = await scene.rows.entries(low, end)
    openings = await scene.rows.open(rows)
    scene.found += doubles(scene.rows.log, rows)
    hashes = [*await cut_hashes(scene, place, low - first), *hashes_of(rows, low, end - low)]
    claims = scene.known.claims(0, place)
    wrong: set[str] = set()
    if claims is not None:
        block = Block(scene.rows.log, place, hashes, claims, low - first)
        wrong = await _check_leaves(scene, block, rows, openings)
    for row, opening in zip(rows, openings, strict=True):
        found = content(scene.rows.log, row, opening)
        # Where the leaf is wrong, what contradicts it is not.
        scene.found += [one for one in found if one.kind is FindingKind.LEAF_CHANGED or one.place not in wrong]
    scene.found += misplaced(scene, rows)
    await check_leads(scene, rows, openings)
    _count(scene, rows)
    for size in scene.remembered(first, end):
        if size % TILE_WIDTH and size >= scene.since:
            scene.compare(size)


async def _check_leaves(scene: Scene, block: Block, rows: Sequence[EntryRow], openings: Sequence[Opening]) -> set[str]:
    """Compares leaves with the tree; answers the places of those that are wrong."""
    if not holds(block.hashes, block.claims):
        block = await _with_witnesses(scene, block, rows, openings)
    found = list(block.check())
    scene.found += found
    scene.absent += block.absent
    proved = block.proved()
    if proved is not None:
        scene.known.tiles[0, block.place] = list(proved)
        rowed = b"".join(one for one in block.hashes if one is not None)
        await check_file(scene, 0, block.place, proved, rowed)
        await _check_bundle(scene, block.place, proved, block.hashes)
    return {one.place for one in found}


async def _with_witnesses(scene: Scene, block: Block, rows: Sequence[EntryRow], openings: Sequence[Opening]) -> Block:
    first, width = block.place * TILE_WIDTH, len(block.hashes)
    said = {row.index - first: rebuilt(row, opening) for row, opening in zip(rows, openings, strict=True)}
    hints = {at: leaf_hash(leaf) for at, leaf in said.items() if leaf is not None}
    served = await scene.files.file(path(0, block.place, width))
    return replace(block, served=split(served.content or b"", width), rebuilt=hints)


async def _check_bundle(scene: Scene, place: int, proved: Sequence[bytes], rowed: Hashes) -> None:
    """Compares the leaves as they are served with the tree."""
    name = entries_path(place, len(proved))
    served = await scene.files.file(name)
    words = served.fault
    if served.content is not None:
        words = _bundled(served.content, (list(proved), list(rowed)))
    if words:
        scene.tell(FindingKind.TILE_CHANGED, entries_path(place), words)


def _bundled(served: bytes, expected: Collection[Hashes]) -> str:
    """What is wrong with a bundle."""
    try:
        right = leaf_hashes(leaves_of(served)) in expected
    except TilePathError as error:
        return f"as it is served: {error}"
    return "" if right else "the served file is not that of the tree's leaves"


async def cut_hashes(scene: Scene, place: int, width: int) -> Hashes:
    """Hashes of the leaves of a block that are cut; a tile keeps those, because living ones stand beside them."""
    if not width:
        return []
    kept = (await scene.rows.tiles(0, [place])).get(place, b"")
    return leaf_hashes(kept[at : at + SIZE] for at in range(0, width * SIZE, SIZE))


def _count(scene: Scene, rows: Sequence[EntryRow]) -> None:
    new = {row.index: row for row in rows if row.index >= scene.memory.tree.size}
    scene.found += scene.counter.take(numbered(list(new.values())), scene.now)
