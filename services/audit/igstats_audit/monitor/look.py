"""One look at one log: from the signed head down to the entries, each thing against what is known from above.

A look starts from what was checked before and goes through everything that came since; a whole look goes through
everything that is kept. Memory holds one block of 256 entries and one hash for each 256 entries of the log.
"""

import copy
from datetime import datetime

from igstats_audit.monitor import heads
from igstats_audit.monitor.blocks import check_blocks
from igstats_audit.monitor.heads import Keys
from igstats_audit.monitor.indexes import check_strays
from igstats_audit.monitor.memory import Memory, Stand
from igstats_audit.monitor.model import Files, FindingKind, HeadRow, Observation, Rows
from igstats_audit.monitor.scene import CautiousFiles, Scene
from igstats_audit.monitor.served import judge, shown
from igstats_audit.monitor.tiling import Known, leaf_hashes
from igstats_audit.monitor.towers import check_shapes, check_tiles
from igstats_audit.monitor.trust import trusted
from igstats_audit.note import Checkpoint
from igstats_audit.tree import Range, grow

_STRIDE = 1 << 12


class Looker:
    """Looks at one log, and remembers what was good."""

    def __init__(self, rows: Rows, files: Files, keys: Keys, memory: Memory, days: int) -> None:
        self.memory = memory
        self._rows = rows
        self._files = files
        self._keys = self._given = keys
        self._days = days
        self.complete = True

    async def look(self, now: datetime, *, whole: bool) -> list[Observation]:
        """What is wrong with the log. `complete` tells whether everything was looked at that the look is about.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        while True:
            row = await self._rows.head()
            if row is None:
                self.complete = False
                return await self._headless()
            self._keys, changed = await trusted(self._rows, self.memory, self._given)
            scene, checkpoint = await self._scene(row, now, whole=whole)
            scene.found += changed
            served = await shown(scene, self._keys)
            await self._check(scene, whole=whole)
            again = await self._rows.head()
            if again is None or again.minimum_index == row.minimum_index:  # else a cut took what was just looked at
                self._remember(scene, row, checkpoint, whole=whole)
                self._compare(scene, row)
                await judge(scene, served, checkpoint.size if checkpoint else None)
                self.complete = scene.files.complete
                return list(dict.fromkeys(scene.found))

    async def _headless(self) -> list[Observation]:
        """A log without head: a log that nobody has opened yet, or one that has lost it."""
        if not self.memory.tree.size and not await self._rows.entries(0, 1):
            return []
        return [Observation(self._rows.log, FindingKind.HEAD_CHANGED, "head", "it is missing")]

    async def _scene(self, row: HeadRow, now: datetime, *, whole: bool) -> tuple[Scene, Checkpoint | None]:
        log, memory, found = self._rows.log, self.memory, list[Observation]()
        checkpoint, tree = None, None
        try:
            checkpoint = self._keys.open(row.checkpoint)
        except ValueError as error:
            found.append(Observation(log, FindingKind.CHECKPOINT_INVALID, "checkpoint", f"{error}"))
        if checkpoint is not None:
            found += heads.check_head(log, row, checkpoint)
        last = memory.minimum_index
        announced = row.minimum_index in {0, last} or await self._rows.announced(row.minimum_index)
        cuts = list(heads.check_cut(log, row, memory, now.date(), self._days, announced=announced))
        found += cuts
        if checkpoint is not None:
            tree = heads.tree_of(row, checkpoint) or await self._extended(checkpoint)
        known = Known(tree or memory.tree)
        since = 0 if whole else min(memory.tree.size, known.tree.size)
        minimum = min(last if cuts else row.minimum_index, known.tree.size)
        counter = copy.deepcopy(memory.counter)
        counter.whole = counter.whole and (memory.tree.size > 0 or minimum == 0)
        files = CautiousFiles(self._files)
        return Scene(self._rows, files, memory, known, minimum, since, now, counter, found), checkpoint

    async def _extended(self, checkpoint: Checkpoint) -> Range | None:
        """The tree that we know with what has come since, if that is what the checkpoint signs."""
        tree = self.memory.tree
        for start in range(tree.size, checkpoint.size, _STRIDE):
            rows = await self._rows.entries(start, min(start + _STRIDE, checkpoint.size))
            tree = grow(tree, leaf_hashes(row.leaf for row in rows)).after
        return tree if (tree.size, tree.root) == (checkpoint.size, checkpoint.root) else None

    async def _check(self, scene: Scene, *, whole: bool) -> None:
        memory, known = self.memory, scene.known
        size, last = known.tree.size, memory.tree.size
        if size < last:
            words = f"the log was seen with {last} entries and says now that it has {size}"
            scene.tell(FindingKind.FORK, f"checkpoint {last}", words)
        scene.extends = not last
        if size == last:
            scene.extends = known.tree.root == memory.tree.root
            if not scene.extends:
                scene.tell(FindingKind.FORK, f"checkpoint {last}", "two trees of this size were signed")
        if scene.since < size:
            await check_tiles(scene)
            await check_blocks(scene)
        if whole:
            await check_shapes(scene)
            await check_strays(scene)
        for index in await self._rows.beyond(size):
            scene.tell(FindingKind.LEAF_CHANGED, f"entry {index}", "its row stands beyond the tree")

    def _remember(self, scene: Scene, row: HeadRow, checkpoint: Checkpoint | None, *, whole: bool) -> None:
        """A tree is remembered when it is signed, and continues the one that was remembered last."""
        memory, tree = self.memory, scene.known.tree
        if checkpoint is None or tree.root != checkpoint.root or not self._continues(scene):
            return
        memory.adopt(tree, row.checkpoint)
        memory.counter = scene.counter
        memory.note_day(scene.now.date(), tree.size, self._days)
        if not scene.has(FindingKind.HEAD_CHANGED):
            memory.minimum_index = scene.minimum
        if whole and scene.files.complete:
            memory.audited_at = scene.now

    def _compare(self, scene: Scene, row: HeadRow) -> None:
        """Compares what no checkpoint signs with the last head that was good; what is wrong is not the next one."""
        memory, forked = self.memory, scene.has(FindingKind.FORK)
        signed = memory.tree.size == row.size and not scene.has(FindingKind.HEAD_CHANGED)
        before = None if forked else memory.stand  # another history has another past
        wrong = list(heads.check_stand(memory.log, row, before, scene.counter.missing, scene.now.date()))
        scene.found += wrong
        if signed and not forked and not wrong:
            memory.stand = Stand.of(row)

    def _continues(self, scene: Scene) -> bool:
        """Whether the tree continues the last one, as far as its entries were not cut before we could look."""
        unseen = self.memory.tree.size < scene.minimum and not scene.has(FindingKind.HEAD_CHANGED)
        return not scene.has(FindingKind.FORK) and (scene.extends or unseen)
