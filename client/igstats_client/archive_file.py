"""Reads the ZIP of an evidence archive, strictly: one that two programs could read differently is refused.

Nothing is ever written to disk, and nothing larger than the limits is ever unpacked. Every byte of the file belongs to
exactly one of its parts: there is no room before, between or behind them, none behind the end of what is packed, and
both descriptions that a ZIP has of a file agree.
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
    directory, count = _check_end(content)
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            files = archive.infolist()
            if len(files) != count:
                raise ArchiveFileError("the ZIP's directory has not as many files as it says")
            _check_names(files)
            for info in files:
                _check_kind(info)
            packed = _placed(content, files, directory)
            return {info.filename: _unpacked(info, packed[info.filename]) for info in files}
    except (BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ArchiveFileError(f"not a ZIP that can be read: {error}") from error


def _check_end(content: bytes) -> tuple[int, int]:
    """Where the directory starts, and how many files it has, by the record that ends the file and describes it all."""
    if len(content) < _END.size:
        raise ArchiveFileError("not a ZIP")
    mark, disk, first, here, count, size, start, comment = _END.unpack(content[-_END.size :])
    if mark != b"PK\x05\x06" or disk or first or comment:
        raise ArchiveFileError("not a ZIP that ends with its directory")
    if here != count or count > MOST_FILES or start + size + _END.size != len(content):
        raise ArchiveFileError("the ZIP's directory is not where it says")
    return start, count


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


def _placed(content: bytes, files: Sequence[ZipInfo], directory: int) -> dict[str, bytes]:
    """What is packed of each file: one behind the other to the directory, and each as the directory describes it."""
    end = 0
    packed: dict[str, bytes] = {}
    for info in sorted(files, key=lambda one: one.header_offset):
        name = info.filename.encode()
        mark, _, *told, size, extra = _LOCAL.unpack(content[end : end + _LOCAL.size])
        flags, method, _, _, *sizes = told
        same = (flags, method, *sizes) == (
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
        packed[info.filename] = content[start + size : end]
    if end != directory or sum(info.file_size for info in files) > MOST_BYTES:
        raise ArchiveFileError("the ZIP holds more than its files, or more than any evidence")
    return packed


def _unpacked(info: ZipInfo, packed: bytes) -> bytes:
    """The file; its stream ends with the last byte packed, and gives as many bytes as the directory says."""
    found, whole = packed, True
    if info.compress_type == ZIP_DEFLATED:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        found = stream.decompress(packed, info.file_size + 1)
        whole = stream.eof and not stream.unused_data and not stream.unconsumed_tail
    if not whole or len(found) != info.file_size or zlib.crc32(found) != info.CRC:
        raise ArchiveFileError(f"{info.filename} is not what was packed, or there is more behind it")
    return found
