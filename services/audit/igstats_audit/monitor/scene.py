"""What one look works with, and what it has found so far."""

from dataclasses import dataclass, field
from datetime import datetime

from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger

from igstats_audit.monitor.memory import Memory
from igstats_audit.monitor.model import Files, FindingKind, Observation, Rows
from igstats_audit.monitor.numbers import Counter
from igstats_audit.monitor.tiling import Known

_PATIENCE = 3  # files in a row, each with its retries

_log = get_logger()


@dataclass(frozen=True, slots=True)
class Served:
    """A file as it is served. Without content there is a fault that the service tells of itself, or nobody answered."""

    content: bytes | None = None
    fault: str = ""


class CautiousFiles:
    """Files of a log. One that the service cannot make says nothing about the others; silence does, after a while."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._silent = 0
        self.complete = True

    async def file(self, path: str) -> Served:
        """A file. What nobody answered for was not looked at: then the look is not `complete`."""
        if self._silent < _PATIENCE:
            try:
                found = await self._files.file(path)
            except DomainError as error:
                if error.reason is not Reason.DEPENDENCY_UNAVAILABLE:
                    self._silent = 0
                    return Served(fault=f"the service cannot make it: {error.reason}")
                _log.warning("a file of the log cannot be read", record=path, reason=error.reason)
            else:
                self._silent = 0
                return Served(found) if found is not None else Served(fault="nobody serves it")
        self._silent += 1
        self.complete = False
        return Served()

    def stop(self) -> None:
        """Asks for no more files in this look."""
        self._silent, self.complete = _PATIENCE, False


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
    absent: list[range] = field(default_factory=list)

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
