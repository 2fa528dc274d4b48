"""The package of an access request: a ZIP with one JSON Lines file per store and a manifest. Made while it is sent."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime
from io import RawIOBase
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

SCHEMA = "igstats/export/v1"


@dataclass(frozen=True)
class Lines:
    """Whole lines of one store of one holder."""

    holder: str
    store: str
    row_count: int
    content: bytes


@dataclass
class _Entry:
    name: str
    holder: str
    store: str
    rows: int
    bytes: int
    sha256: str


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


class _Archive:
    """Writes files one after another; lines of the same store must come together."""

    def __init__(self, request_id: str, made: datetime) -> None:
        self.sink = _Sink()
        self._zip = ZipFile(self.sink, "w", ZIP_DEFLATED)
        self._request_id = request_id
        self._made = made
        self._entries: list[_Entry] = []
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()

    def add(self, lines: Lines) -> None:
        """Writes lines into the file of their store."""
        name = f"{lines.holder}/{lines.store}.jsonl"
        if self._file is None or self._entries[-1].name != name:
            self._end_file()
            self._file = self._zip.open(self._info(name), "w")
            self._entries.append(_Entry(name, lines.holder, lines.store, 0, 0, ""))
        self._file.write(lines.content)
        self._hash.update(lines.content)
        self._entries[-1].rows += lines.row_count
        self._entries[-1].bytes += len(lines.content)

    def close(self) -> None:
        """Writes the manifest and ends the archive."""
        self._end_file()
        manifest = {
            "schema": SCHEMA,
            "request_id": self._request_id,
            "generated_at": self._made.isoformat(),
            "files": [asdict(entry) for entry in self._entries],
        }
        self._zip.writestr(self._info("manifest.json"), json.dumps(manifest, indent=2))
        self._zip.close()

    def _end_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._entries[-1].sha256 = self._hash.hexdigest()
            self._hash = hashlib.sha256()

    def _info(self, name: str) -> ZipInfo:
        info = ZipInfo(name, self._made.timetuple()[:6])
        info.compress_type = ZIP_DEFLATED
        return info


async def zipped(request_id: str, made: datetime, lines: AsyncIterator[Lines]) -> AsyncIterator[bytes]:
    """The archive in pieces, while `lines` come in order of holder and store."""
    archive = _Archive(request_id, made)
    async for some in lines:
        if some.row_count:
            archive.add(some)
        if piece := archive.sink.taken():
            yield piece
    archive.close()
    yield archive.sink.taken()
