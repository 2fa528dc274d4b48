"""Evidence archives as files: what the log's own code writes is read, and every ZIP with a trick in it is refused."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.archive import packed
from igstats_client import archive_file
from igstats_client.archive_file import ArchiveFileError

Case = Any
"""The builder of conftest.py."""

MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
FILES = {"a.txt": b"first" * 20, "b/c.txt": b"second"}
END_SIZE = 22


def written(*files: tuple[str | zipfile.ZipInfo, bytes], **options: Any) -> bytes:
    """A ZIP that Python's own writer makes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return target.getvalue()


def info(name: str, **fields: Any) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def test_what_is_written_is_read_again(case: Case, tmp_path: Path) -> None:
    files = case.archive()
    path = tmp_path / "evidence.zip"
    path.write_bytes(packed(files, MOMENT))
    assert archive_file.read(path) == files


def test_the_same_files_make_the_same_bytes() -> None:
    assert packed(FILES, MOMENT) == packed(FILES, MOMENT)


def test_a_zip_of_another_program_is_read_too() -> None:
    assert archive_file.parse(written(*FILES.items())) == FILES


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "/a",
        "a/../b",
        "./a",
        "a//b",
        "a\\b",
        "C:a",
        ".hidden",
        "a/.b",
        "a b",
        "\u00e4",
        "a/",
        "a\nb",
        "a" * 101,
        "a/b/c/d/e/f",
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ArchiveFileError):
        archive_file.parse(written(("ok", b""), (info(name), b"x")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a.txt", "A.txt"])
def test_two_files_of_one_name_are_refused(name: str) -> None:
    with pytest.raises(ArchiveFileError, match="same name"):
        archive_file.parse(written(("a.txt", b"one"), (name, b"other")))


def test_a_name_that_hides_behind_a_zero_is_refused() -> None:
    content = written(("a.txtXb", b"x")).replace(b"a.txtXb", b"a.txt\0b")
    with pytest.raises(ArchiveFileError):
        archive_file.parse(content)


@pytest.mark.parametrize(
    "made",
    [
        info("link", external_attr=0o120777 << 16),
        info("device", external_attr=0o020666 << 16),
        info("packed", compress_type=zipfile.ZIP_BZIP2),
        info("extra", extra=b"\x01\x00\x00\x00"),
        info("told", comment=b"more"),
    ],
    ids=lambda one: one.filename,
)
def test_files_that_are_no_plain_files_are_refused(made: zipfile.ZipInfo) -> None:
    with pytest.raises(ArchiveFileError):
        archive_file.parse(written((made, b"x")))


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "decompressobj", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(ArchiveFileError, match="bytes"):
        archive_file.parse(written(("zeros", b"\0" * (2 * 1024 * 1024))))


def test_many_files_that_are_too_much_together_are_refused() -> None:
    with pytest.raises(ArchiveFileError, match="more than any evidence"):
        archive_file.parse(written(*((f"zeros{number}", b"\0" * 1024 * 1024) for number in range(65))))


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    content = bytearray(written(("zeros", b"\0" * 1_000_000)))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", content, content.index(mark) + place, 10)
    with pytest.raises(ArchiveFileError):
        archive_file.parse(bytes(content))


def _end(content: bytes, place: int, value: int) -> bytes:
    """Changes a number of two bytes in the record that ends the file."""
    bent = bytearray(content)
    struct.pack_into("<H", bent, len(content) - END_SIZE + place, value)
    return bytes(bent)


def _with_one_file_less(content: bytes) -> bytes:
    """Both numbers of files in the record that ends the file say one."""
    return _end(_end(content, 8, 1), 10, 1)


BENT: list[Callable[[bytes], bytes]] = [
    lambda _: b"",
    lambda _: b"PK",
    lambda content: b"#!/bin/sh\n" + content,
    lambda content: content + b"\0",
    lambda content: content[:-1],
    lambda content: content[:-END_SIZE] + b"hidden" + content[-END_SIZE:],
    lambda content: _end(content, 4, 1),
    lambda content: _end(content, 8, 1),
    lambda content: _end(content, 10, 3),
    lambda content: _end(content, 20, 1),
    _with_one_file_less,
    lambda content: content.replace(b"a.txt", b"x.txt", 1),
    lambda content: content.replace(b"PK\x03\x04", b"PK\x03\x05", 1),
    lambda content: content.replace(b"PK\x01\x02", b"PK\x01\x03", 1),
]


@pytest.mark.parametrize("bend", BENT)
def test_zips_that_two_programs_could_read_differently_are_refused(bend: Callable[[bytes], bytes]) -> None:
    content = written(*FILES.items())
    assert archive_file.parse(content) == FILES
    with pytest.raises(ArchiveFileError):
        archive_file.parse(bend(content))


def packed_as(stream: bytes, method: int, said: bytes) -> bytes:
    """A ZIP of one file whose headers describe `said`, whatever the stream really gives."""
    name, crc = b"a.txt", zlib.crc32(said)
    told = struct.pack("<5H3L2H", 20, 0, method, 0, 0x21, crc, len(stream), len(said), len(name), 0)
    local = b"PK\x03\x04" + told + name + stream
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + told + struct.pack("<3H2L", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end


def deflated(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


SAID = b"what is said" * 3
HIDING = {
    "bytes behind a stream": (deflated(SAID) + b"JUNK", zipfile.ZIP_DEFLATED),
    "a second stream": (deflated(SAID) + deflated(b"other"), zipfile.ZIP_DEFLATED),
    "more than is said": (deflated(SAID + b"more"), zipfile.ZIP_DEFLATED),
    "less than is said": (deflated(SAID[:-1]), zipfile.ZIP_DEFLATED),
    "a stream without end": (deflated(SAID)[:-1], zipfile.ZIP_DEFLATED),
    "something else of that length": (deflated(SAID[::-1]), zipfile.ZIP_DEFLATED),
    "no stream": (b"\xff" * 9, zipfile.ZIP_DEFLATED),
    "stored with more": (SAID + b"more", zipfile.ZIP_STORED),
    "stored with less": (SAID[:-1], zipfile.ZIP_STORED),
}


def test_a_file_whose_headers_tell_the_truth_is_read() -> None:
    for stream, method in ((deflated(SAID), zipfile.ZIP_DEFLATED), (SAID, zipfile.ZIP_STORED)):
        assert archive_file.parse(packed_as(stream, method, SAID)) == {"a.txt": SAID}
    assert archive_file.parse(packed_as(deflated(b""), zipfile.ZIP_DEFLATED, b"")) == {"a.txt": b""}


@pytest.mark.parametrize("trick", HIDING)
def test_a_file_that_hides_something_in_what_is_packed_is_refused(trick: str) -> None:
    with pytest.raises(ArchiveFileError):
        archive_file.parse(packed_as(*HIDING[trick], SAID))


def test_a_changed_byte_is_refused_or_changes_no_file() -> None:
    content = packed(FILES, MOMENT)
    chance = random.Random(7)  # noqa: S311 - a repeatable choice of bits, no secret
    for place in range(len(content)):
        bent = bytearray(content)
        bent[place] ^= 1 << chance.randrange(8)
        try:
            assert archive_file.parse(bytes(bent)) == FILES, place
        except ArchiveFileError:
            continue


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.zip"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(ArchiveFileError, match="bytes"):
        archive_file.read(path)
