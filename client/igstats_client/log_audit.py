"""Checks a whole log from its files: every leaf below the signed root, every tile what its leaves make of it.

Pure: reading is the caller's, who passes a function from a path of tlog-tiles to its content. Below the log's minimum
index leaves and tiles may be gone; there the hashes of the tiles above stand for them, and must still lead to the root.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from igstats_client.forms import Edge
from igstats_client.merkle import ProofError, node_hash
from igstats_client.note import Checkpoint
from igstats_client.tiles import WIDTH, TileError, fold, hashes_of, leaf_hashes_of, leaves_of, tile_path

Read = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit has seen: leaves that it hashed itself, and leaves that are gone by the log's own policy."""

    size: int
    hashed: int
    pruned: int
    oldest: bytes = field(default=b"", compare=False)
    """The first leaf that was there."""


class LogAudit:
    """One pass over the files of a log."""

    def __init__(self, checkpoint: Checkpoint, read: Read, minimum_index: int = 0) -> None:
        if not 0 <= minimum_index <= checkpoint.size:
            raise ProofError(Edge.INDEX_OUTSIDE, "the minimum index lies outside the tree")
        self._checkpoint = checkpoint
        self._read = read
        self._minimum = minimum_index
        self._hashed = 0
        self._oldest = b""

    def run(self) -> Audited:
        """Checks everything.

        Raises:
            Refusal: ProofError: the log is empty or its leaves do not make the root; TileError: a file is missing,
                malformed or contradicts the others.
        """
        if self._checkpoint.size == 0:
            raise ProofError(Edge.SIZE_ZERO, "an empty log proves nothing")
        edge: list[bytes] = []
        row: list[bytes | None] = []
        level, count = 0, self._checkpoint.size
        while count:
            row, rest = self._row(level, count, row)
            edge = [*_peaks(rest), *edge]
            level, count = level + 1, count // WIDTH
        if _join(edge) != self._checkpoint.root:
            raise ProofError(Edge.ROOT, "the leaves of the log do not make the signed root")
        return Audited(self._checkpoint.size, self._hashed, self._checkpoint.size - self._hashed, self._oldest)

    def _row(self, level: int, count: int, below: Sequence[bytes | None]) -> tuple[list[bytes | None], list[bytes]]:
        """Roots of the complete tiles of a level (None: gone, the tile above tells), and the row of the partial one."""
        full, width = divmod(count, WIDTH)
        roots: list[bytes | None] = []
        for place in range(full):
            row = self._tile(level, place, WIDTH, below[place * WIDTH : (place + 1) * WIDTH])
            roots.append(fold(row) if row else None)
        return roots, (self._tile(level, full, width, below[full * WIDTH :]) or []) if width else []

    def _tile(self, level: int, place: int, width: int, below: Sequence[bytes | None]) -> list[bytes] | None:
        """Hashes of a tile that agree with what is below it; None when it is gone and may be."""
        gone = (place + 1) * WIDTH ** (level + 1) <= self._minimum
        if level == 0:
            if gone:
                return None
            below = self._leaves(place, width)
        path, content = self._file(level, place, width, optional=gone)
        if content is None:
            return None
        known = [one for one in below if one is not None]
        if len(known) == width and content == b"".join(known):
            return known
        row = hashes_of(content, _width_in(path, width), path)[:width]
        _check_row(path, row, below)
        return row

    def _leaves(self, place: int, width: int) -> list[bytes]:
        path, content = self._file(None, place, width)
        found = leaf_hashes_of(content or b"", _width_in(path, width), path)[:width]
        if not self._hashed:
            self._oldest = leaves_of(content or b"", _width_in(path, width), path)[0]
        self._hashed += width
        return found

    def _file(self, level: int | None, place: int, width: int, *, optional: bool = False) -> tuple[str, bytes | None]:
        """A file; a partial one that is gone is the beginning of the full one."""
        for path in dict.fromkeys((tile_path(level, place, width), tile_path(level, place))):
            content = self._read(path)
            if content is not None:
                return path, content
        if not optional:
            raise TileError(Edge.TILE_MISSING, tile_path(level, place, width), "the log does not have it")
        return path, None


def audit(checkpoint: Checkpoint, read: Read, minimum_index: int = 0) -> Audited:
    """Checks a whole log against a checkpoint that has been opened with trusted keys.

    Raises:
        Refusal: See `LogAudit.run`.
    """
    return LogAudit(checkpoint, read, minimum_index).run()


def _width_in(path: str, width: int) -> int:
    return width if ".p/" in path else WIDTH


def _check_row(path: str, row: Sequence[bytes], below: Sequence[bytes | None]) -> None:
    for at, (said, known) in enumerate(zip(row, below, strict=True)):
        if known is not None and said != known:
            raise TileError(Edge.TILE_HASH, path, f"hash {at} is not that of what is below it")


def _peaks(row: list[bytes]) -> list[bytes]:
    """Roots of the largest complete subtrees in a row, from left to right."""
    peaks: list[bytes] = []
    start = 0
    while start < len(row):
        width = 1 << ((len(row) - start).bit_length() - 1)
        peaks.append(fold(row[start : start + width]))
        start += width
    return peaks


def _join(peaks: Sequence[bytes]) -> bytes:
    root = peaks[-1]
    for left in reversed(peaks[:-1]):
        root = node_hash(left, root)
    return root
