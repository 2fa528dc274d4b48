"""What one look works with, and what it has found so far."""

from dataclasses import dataclass, field
from datetime import datetime

from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger

from igstats_audit.monitor.memory import Memory
from igstats_audit.monitor.model import Files, FindingKind, Observation, Rows
from igstats_audit.monitor.numbers import Counter
from igstats_audit.monitor.tiling import Known

_log = get_logger()


class CautiousFiles:
    """Files of a log until nobody answers any more."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.answering = True

    async def file(self, path: str) -> bytes | None:
        """Content of a file; None when it is missing or nobody answers: `answering` tells which."""
        if self.answering:
            try:
                return await self._files.file(path)
            except DomainError as error:
                self.answering = False
                _log.warning("files of the log cannot be read", reason=error.reason)
        return None


@dataclass(slots=True)
class Scene:
    """What one look works with. `since` is the size of the tree up to which everything was checked before."""

    rows: Rows
    files: CautiousFiles
    memory: Memory
    known: Known
    minimum: int
    since: int
    now: datetime
    counter: Counter
    found: list[Observation] = field(default_factory=list)
    extends: bool = False

    def tell(self, kind: FindingKind, place: str, detail: str) -> None:
        """Adds something that is wrong."""
        self.found.append(Observation(self.rows.log, kind, place, detail))

    def has(self, kind: FindingKind) -> bool:
        """Whether something of this kind is wrong."""
        return any(one.kind is kind for one in self.found)

    def compare(self, size: int) -> None:
        """Compares the trees of this size that were seen before with what is known now."""
        root = self.known.root(size)
        if root is None:
            return
        if any(seen.root != root for seen in self.memory.checkpoints if seen.size == size):
            self.tell(FindingKind.FORK, f"checkpoint {size}", "the tree does not continue this checkpoint any more")
        if size == self.memory.tree.size:
            self.extends = root == self.memory.tree.root

    def remembered(self, start: int, end: int) -> list[int]:
        """Sizes of trees seen before, above start and up to end."""
        sizes = {seen.size for seen in self.memory.checkpoints} | {self.memory.tree.size}
        return sorted(size for size in sizes if start < size <= end)
