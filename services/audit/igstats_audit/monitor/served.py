"""Checks the checkpoint that the service shows: whatever its size, it must be one that this tree had.

The shown one is newer than the head that a look begins with, or older, in any log that grows. A newer one is remembered
and judged by the next look, whose head is read later and so must have reached it. The root of an older size is made
from tiles that satisfy what is known from above.
"""

from igstats_audit.monitor.blocks import cut_hashes
from igstats_audit.monitor.heads import Keys
from igstats_audit.monitor.leaves import hashes_of
from igstats_audit.monitor.memory import Seen
from igstats_audit.monitor.model import FindingKind
from igstats_audit.monitor.scene import Scene
from igstats_audit.monitor.tiling import Hashes, Known, holds, split
from igstats_audit.tile_path import CHECKPOINT, TILE_HEIGHT, TILE_WIDTH, path

LATE_LOOKS = 30
"""How many looks a shown checkpoint may stay below what the log had before: five minutes of looks every ten seconds.
The service reads the head for every answer, so nothing of ours is that late; a standby or a cache in between may be."""


async def shown(scene: Scene, keys: Keys) -> Seen | None:
    """The checkpoint as the service shows it, if the log has signed it."""
    served = await scene.files.file(CHECKPOINT)
    words = served.fault
    if served.content is not None:
        try:
            note = served.content.decode()
            opened = keys.open(note)
        except ValueError as error:
            scene.tell(FindingKind.CHECKPOINT_INVALID, "checkpoint", f"as it is served: {error}")
            return None
        return Seen(opened.size, opened.root, note)
    scene.files.stop()  # whoever cannot show its checkpoint has no other file either
    if words and not scene.has(FindingKind.HEAD_CHANGED) and not scene.has(FindingKind.CHECKPOINT_INVALID):
        scene.tell(FindingKind.CHECKPOINT_INVALID, "checkpoint", f"as it is served: {words}")
    return None


async def judge(scene: Scene, served: Seen | None, signed: int | None) -> None:
    """Compares what is shown, and what was shown before and could not be compared then; `signed` is the head's size.

    What contradicts the tree stays in memory, as the proof that it was signed.
    """
    memory = scene.memory
    doubtful = [one for one in memory.shown if await _doubtful(scene, one, signed)]
    if served is not None:
        if await _doubtful(scene, served, None):
            doubtful.append(served)
        _measure(scene, served)
    memory.note_shown(list({(one.size, one.root): one for one in doubtful}.values()))


async def _doubtful(scene: Scene, one: Seen, signed: int | None) -> bool:
    """Tells a checkpoint that is not of this tree. Doubtful is also one that cannot be compared yet."""
    if signed is not None and one.size > signed:
        words = f"the service has shown it, and the log says now that it has {signed} entries"
        scene.tell(FindingKind.FORK, f"checkpoint {one.size}", words)
    if one.size > scene.known.tree.size:
        return True
    root = await _root(scene, one.size)
    if root is None:
        return one.size >= scene.minimum  # what was cut can never be compared
    if root != one.root:
        scene.tell(FindingKind.FORK, f"checkpoint {one.size}", "the served checkpoint has another root")
    return root != one.root


def _measure(scene: Scene, served: Seen) -> None:
    """Tells a checkpoint that stays behind. One that is some entries late reaches the mark with the next look."""
    memory = scene.memory
    if served.size >= memory.mark:
        memory.mark, memory.behind = memory.tree.size, 0
        return
    memory.behind += 1
    if memory.behind > LATE_LOOKS:
        words = f"as it is served it has {served.size} entries; {LATE_LOOKS} looks ago the log had {memory.mark}"
        scene.tell(FindingKind.CHECKPOINT_STALE, "checkpoint", words)


async def _root(scene: Scene, size: int) -> bytes | None:
    """Root that the tree had at an earlier size; None when no witness of a tile on the way can be believed."""
    known = Known(scene.known.tree)
    if size == known.tree.size:
        return known.tree.root
    for level in range(known.top, -1, -1):
        place = size >> (TILE_HEIGHT * (level + 1))
        claims, width = known.claims(level, place), known.width(level, place)
        if not width or claims is None:
            continue
        hashes = await _rowed(scene, level, place, width)
        if not holds(hashes, claims):
            file = await scene.files.file(path(level, place, width))
            hashes = split(file.content or b"", width)
        if holds(hashes, claims):
            known.tiles[level, place] = list(hashes)
    return known.root(size)


async def _rowed(scene: Scene, level: int, place: int, width: int) -> Hashes:
    """A tile as the rows have it."""
    if level:
        return split((await scene.rows.tiles(level, [place])).get(place, b""), width)
    first = place * TILE_WIDTH
    end = first + width
    low = min(max(first, scene.minimum), end)
    kept = await cut_hashes(scene, place, low - first)
    return [*kept, *hashes_of(await scene.rows.entries(low, end), low, end - low)]
