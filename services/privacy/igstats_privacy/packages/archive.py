"""A ZIP that is written while it is sent: one file after another, digests as they grow, the manifest last. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from io import RawIOBase
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

MANIFEST = "manifest.json"
# Beyond this a file needs the 64-bit form of ZIP, which is decided before its first byte.
_LARGE_BYTES = 2**30


@dataclass
class Entry:
    """One file as the manifest names it."""

    name: str
    bytes: int = 0
    sha256: str = ""


class _Sink(RawIOBase):
    """Where the archive is written to, and taken from piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # zipfile writes bytes
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class Archive:
    """Writes files; `taken` answers what can be sent already."""

    def __init__(self, made: datetime) -> None:
        self._sink = _Sink()
        self._zip = ZipFile(self._sink, "w", ZIP_DEFLATED)
        self._made = made
        self._entries: list[Entry] = []
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()

    def begin(self, name: str, about_bytes: int = 0) -> None:
        """Starts a file, of which so many bytes are expected."""
        self._end()
        self._file = self._zip.open(self._info(name), "w", force_zip64=about_bytes > _LARGE_BYTES)
        self._entries.append(Entry(name))

    def write(self, content: bytes) -> None:
        """Adds to the file that was started last."""
        if self._file is None:
            raise ValueError("no file was started")
        self._file.write(content)
        self._hash.update(content)
        self._entries[-1].bytes += len(content)

    def close(self, head: Mapping[str, object]) -> None:
        """Writes the manifest, which begins with `head` and names every file, and ends the archive."""
        self._end()
        manifest = {**head, "files": [asdict(entry) for entry in self._entries]}
        self._zip.writestr(self._info(MANIFEST), json.dumps(manifest, indent=2, ensure_ascii=False))
        self._zip.close()

    def abandon(self) -> None:
        """Closes what a torn download has left open; after `close` there is nothing."""
        self._end()
        self._zip.close()

    def taken(self) -> bytes:
        """What was written since the last call."""
        return self._sink.taken()

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._entries[-1].sha256 = self._hash.hexdigest()
            self._hash = hashlib.sha256()

    def _info(self, name: str) -> ZipInfo:
        info = ZipInfo(name, self._made.timetuple()[:6])
        info.compress_type = ZIP_DEFLATED
        return info
