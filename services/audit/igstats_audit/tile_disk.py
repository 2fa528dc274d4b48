"""Full tiles and bundles as files, under the names that C2SP tlog-tiles gives them: a cache, and no more.

The disk may be full, broken or lost at any time. That costs the reading of rows, is counted and said, and harms nobody:
what asks for a file here never fails because of it.
"""

import os
import secrets
import sys
import threading
from contextlib import suppress
from pathlib import Path

from igstats_kit.log import get_logger

from igstats_audit.telemetry import TILE_FILES_MISSED
from igstats_audit.tile_path import TILE_WIDTH, Tile, TilePathError, leaves_of, parse, written
from igstats_audit.tree import HASH_SIZE

_BLOCK = 4_096

_log = get_logger()


class Room:
    """How many bytes files may take, those of all logs together: 32 KiB for 256 entries."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Takes room when there is so much."""
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True

    def give(self, size: int) -> None:
        """Gives room back."""
        with self._lock:
            self._free += size

    def count(self, size: int) -> None:
        """Counts what was there before anybody asked for room."""
        self.give(-size)


class TileDisk:
    """The files of one log. It may lose any of them at any time, and takes no more than there is room for."""

    def __init__(self, directory: Path, room: Room | None = None) -> None:
        self._directory = directory
        self._room = room or Room(sys.maxsize)
        self._changing = threading.Lock()
        self._trouble = ""
        with suppress(OSError):  # whoever writes will hear it again
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_stock()

    def read(self, tile: Tile) -> bytes | None:
        """A file, None when it is not here whole."""
        try:
            content = (self._directory / written(tile)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._missed("unreadable", error)
            return None
        if _is_whole(tile, content):
            return content
        self._missed("torn")
        return None

    def has(self, tile: Tile) -> bool:
        """Whether there is a file."""
        return _held(self._directory / written(tile)) > 0

    def write(self, tile: Tile, content: bytes) -> bool:
        """Writes a file so that nobody sees half of it; False when the disk does not take it.

        It need not survive a power cut: what is torn is not read.
        """
        target, taken = self._directory / written(tile), 0
        with self._changing:
            try:
                more = _blocks(len(content)) - _held(target)
                if not self._room.take(more):
                    self._missed("full")
                    return False
                taken = more
                _put(target, content)
            except OSError as error:
                self._room.give(taken)
                self._missed("failed", error)
                return False
        self._trouble = ""
        return True

    def prune(self, minimum_index: int) -> int:
        """Removes the tiles of level 0 and the bundles that lie below the minimum index; answers how many.

        Raises:
            OSError: The disk does not let go of one. Nobody is shown it any more.
        """
        dead = [path for path in self._leaf_files() if (tile := parse(path)) is not None and tile.end <= minimum_index]
        for path in dead:
            with self._changing:
                held = _held(self._directory / path)
                (self._directory / path).unlink(missing_ok=True)
                self._room.give(held)
        return len(dead)

    def _leaf_files(self) -> list[str]:
        found = []
        for level in ("0", "entries"):
            files = (self._directory / "tile" / level).rglob("[!.]*")
            found += [file.relative_to(self._directory).as_posix() for file in files if file.is_file()]
        return found

    def _take_stock(self) -> None:
        """Removes what writers that were killed have left, and counts what the other files take."""
        for folder, _, names in os.walk(self._directory):
            for file in (Path(folder, name) for name in names):
                with suppress(OSError):
                    if file.name.startswith("."):
                        file.unlink()
                    else:
                        self._room.count(_held(file))

    def _missed(self, reason: str, error: OSError | None = None) -> None:
        """Counts each file, and says it once for all that have the same trouble."""
        TILE_FILES_MISSED.labels(reason=reason).inc()
        if reason != self._trouble:
            kind = type(error).__name__ if error else ""
            _log.warning("cache of tiles in trouble", reason=reason, error=kind, store=self._directory.name)
            self._trouble = reason


def _put(target: Path, content: bytes) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        fresh.write_bytes(content)
        fresh.replace(target)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _held(file: Path) -> int:
    """Bytes that a file takes on the disk; 0 when it is not there, as far as anybody can tell."""
    try:
        return _blocks(file.stat().st_size)
    except OSError:
        return 0


def _blocks(size: int) -> int:
    return -(-max(size, 1) // _BLOCK) * _BLOCK


def _is_whole(tile: Tile, content: bytes) -> bool:
    """Whether a full file is all there: what a power cut has torn is short, or has zeros for what was not written."""
    if tile.level is not None:
        return len(content) == TILE_WIDTH * HASH_SIZE and bytes(HASH_SIZE) not in content
    try:
        leaves = leaves_of(content)
    except TilePathError:
        return False
    return len(leaves) == TILE_WIDTH and all(leaves)
