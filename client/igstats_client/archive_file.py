"""Reads the ZIP of an evidence archive, strictly: one that two programs could read differently is refused.

Nothing is ever written to disk, and nothing larger than the limits is ever unpacked. Every byte of the file belongs to
exactly one of its parts: there is no room before, between or behind them, and both descriptions that a ZIP has of a
file agree.
"""

import io
import re
import stat
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

MOST_BYTES = 64 * 1024 * 1024
MOST_FILES = 20_000
MOST_UNPACKED = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,4}")
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_METHODS = (ZIP_STORED, ZIP_DEFLATED)
_UTF8_NAMES = 0x800


class ArchiveFileError(ValueError):
    """The file is no evidence archive in the one allowed form."""


def read(path: Path) -> dict[str, bytes]:
    """Reads an archive: its files by name.

    Raises:
        ArchiveFileError: Out of form.
        OSError: The file cannot be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ArchiveFileError(f"more than {MOST_BYTES} bytes")
    return parse(path.read_bytes())


def parse(content: bytes) -> dict[str, bytes]:
    """Reads the content of an archive.

    Raises:
        ArchiveFileError: Out of form.
    """
    directory = _check_end(content)
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            files = archive.infolist()
            _check_names(files)
            for info in files:
                _check_kind(info)
            _check_places(content, files, directory)
            return {info.filename: archive.read(info) for info in files}
    except (BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ArchiveFileError(f"not a ZIP that can be read: {error}") from error


def _check_end(content: bytes) -> int:
    """Where the directory starts, by the record that ends the file and describes all of it."""
    if len(content) < _END.size:
        raise ArchiveFileError("not a ZIP")
    mark, disk, first, here, count, size, start, comment = _END.unpack(content[-_END.size :])
    if mark != b"PK\x05\x06" or disk or first or comment:
        raise ArchiveFileError("not a ZIP that ends with its directory")
    if here != count or count > MOST_FILES or start + size + _END.size != len(content):
        raise ArchiveFileError("the ZIP's directory is not where it says")
    return int(start)


def _check_names(files: Sequence[ZipInfo]) -> None:
    names = [info.filename for info in files]
    if len({name.lower() for name in names}) != len(names):
        raise ArchiveFileError("two files have the same name")
    for info in files:
        if info.filename != info.orig_filename or not _NAME.fullmatch(info.filename):
            raise ArchiveFileError(f"a file has a name that no evidence has: {info.orig_filename[:100]!r}")


def _check_kind(info: ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in {0, stat.S_IFREG}:
        raise ArchiveFileError(f"{info.filename} is no regular file")
    if info.compress_type not in _METHODS or info.flag_bits & ~_UTF8_NAMES or info.extra or info.comment:
        raise ArchiveFileError(f"{info.filename} is packed in a way that evidence is not")
    if max(info.file_size, info.compress_size) > MOST_UNPACKED:
        raise ArchiveFileError(f"{info.filename} has more than {MOST_UNPACKED} bytes")


def _check_places(content: bytes, files: Sequence[ZipInfo], directory: int) -> None:
    """The files lie one behind the other from the first byte to the directory, each as the directory describes it."""
    end = 0
    for info in sorted(files, key=lambda one: one.header_offset):
        name = info.filename.encode()
        mark, _, *told, size, extra = _LOCAL.unpack(content[end : end + _LOCAL.size])
        flags, method, _, _, crc, packed, unpacked = told
        same = (flags, method, crc, packed, unpacked) == (
            info.flag_bits,
            info.compress_type,
            info.CRC,
            info.compress_size,
            info.file_size,
        )
        start = end + _LOCAL.size
        if info.header_offset != end or mark != b"PK\x03\x04" or not same or extra or size != len(name):
            raise ArchiveFileError(f"{info.filename} is described in two ways, or is not where it should be")
        if content[start : start + size] != name:
            raise ArchiveFileError(f"{info.filename} has two names")
        end = start + size + info.compress_size
    if end != directory or sum(info.file_size for info in files) > MOST_BYTES:
        raise ArchiveFileError("the ZIP holds more than its files, or more than any evidence")
