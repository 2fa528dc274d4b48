"""The cache of tiles on a disk that is full, broken or torn: nobody but the one who counts its misses notices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.note import NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.telemetry import TILE_FILES_MISSED
from igstats_audit.tile_disk import Room, TileDisk
from igstats_audit.tile_path import Tile, bundle, entries_path, path
from igstats_audit.tiles import TileReader, Tiles

from tests.unit.audit.test_tiles import files_in, grown

Log = Any
"""MemoryLog of conftest.py."""

BUNDLE, HASHES = 6 * 4_096, 2 * 4_096
"""What the two files of 256 entries take."""


def missed(reason: str) -> float:
    return float(TILE_FILES_MISSED.labels(reason=reason)._value.get())


def broken(folder: Path) -> TileDisk:
    """A disk that can neither write nor read: a file stands where its folder should be."""
    disk = TileDisk(folder)
    (folder / "tile").write_text("no folder")
    return disk


async def test_a_disk_that_does_not_work_costs_no_answer_and_no_worker(
    memory_log: Log, note_signer: NoteSigner, tmp_path: Path
) -> None:
    await grown(memory_log, note_signer, 600)
    tiles, before = Tiles(memory_log, broken(tmp_path)), (missed("failed"), missed("unreadable"))
    reader = TileReader(memory_log, tiles, note_signer)
    plain = TileReader(memory_log, Tiles(memory_log), note_signer)
    for name in (entries_path(0), path(0, 1), entries_path(2, 88), path(1, 0, 2)):
        assert await reader.file(name) == await plain.file(name)
    assert await Proofs(memory_log, tiles).inclusion(3, 0) == await Proofs(memory_log, Tiles(memory_log)).inclusion(
        3, 0
    )
    await reader.publish()
    assert missed("failed") > before[0]
    assert missed("unreadable") > before[1]


async def test_what_a_disk_did_not_take_is_written_when_it_is_mended(
    memory_log: Log, note_signer: NoteSigner, tmp_path: Path
) -> None:
    await grown(memory_log, note_signer, 600)
    reader = TileReader(memory_log, Tiles(memory_log, broken(tmp_path)), note_signer)
    await reader.publish()
    (tmp_path / "tile").unlink()
    await reader.publish()
    assert files_in(tmp_path) == sorted([path(0, 0), path(0, 1), entries_path(0), entries_path(1)])


async def test_files_never_take_more_than_there_is_room_and_go_on_when_a_cut_makes_some(
    memory_log: Log, note_signer: NoteSigner, tmp_path: Path
) -> None:
    await grown(memory_log, note_signer, 5 * 256)
    room = Room(2 * (BUNDLE + HASHES))
    tiles = Tiles(memory_log, TileDisk(tmp_path, room))
    reader, before = TileReader(memory_log, tiles, note_signer), missed("full")
    await reader.publish()
    two = sorted([path(0, 0), path(0, 1), entries_path(0), entries_path(1)])
    assert files_in(tmp_path) == two
    assert await reader.file(entries_path(4)) == (bundle([one.leaf for one in memory_log.kept[4 * 256 :]]), True)
    assert files_in(tmp_path) == two
    assert missed("full") > before
    await tiles.prune(256)
    await reader.publish()
    assert files_in(tmp_path) == sorted([path(0, 1), path(0, 2), entries_path(1), entries_path(2)])


async def test_both_logs_share_the_room_and_files_from_before_a_start_count(
    memory_log: Log, note_signer: NoteSigner, tmp_path: Path
) -> None:
    await grown(memory_log, note_signer, 3 * 256)
    await TileReader(memory_log, Tiles(memory_log, TileDisk(tmp_path / "access")), note_signer).publish()
    room = Room(4 * (BUNDLE + HASHES))
    TileDisk(tmp_path / "access", room)
    other = Tiles(memory_log, TileDisk(tmp_path / "evidence", room))
    await TileReader(memory_log, other, note_signer).publish()
    assert files_in(tmp_path / "evidence") == sorted([path(0, 0), entries_path(0)])


def test_writing_a_file_again_takes_no_more_room(tmp_path: Path) -> None:
    disk = TileDisk(tmp_path, Room(HASHES))
    for _ in range(3):
        assert disk.write(Tile(0, 7), b"h" * 8_192)
    assert not disk.write(Tile(0, 8), b"h" * 8_192)
    assert disk.read(Tile(0, 7)) == b"h" * 8_192


TORN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut short": lambda whole: whole[:5_000],
    "cut between two leaves": lambda whole: whole[: 95 * 100],
    "a page of zeros": lambda whole: whole[:4_096] + bytes(4_096) + whole[8_192:],
    "zeros at the end": lambda whole: whole[:4_096] + bytes(len(whole) - 4_096),
    "nothing but zeros": lambda whole: bytes(len(whole)),
    "one leaf too many": lambda whole: whole + whole[:95],
}


@pytest.mark.parametrize("how", TORN)
@pytest.mark.parametrize("name", [entries_path(1), path(0, 1)])
async def test_a_file_that_a_power_cut_has_torn_is_not_served_but_made_again(
    memory_log: Log, note_signer: NoteSigner, tmp_path: Path, name: str, how: str
) -> None:
    await grown(memory_log, note_signer, 600)
    first = TileReader(memory_log, Tiles(memory_log, TileDisk(tmp_path)), note_signer)
    await first.publish()
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(TORN[how](whole))
    again = TileReader(memory_log, Tiles(memory_log, TileDisk(tmp_path)), note_signer)
    assert await again.file(name) == (whole, True)
    assert (tmp_path / name).read_bytes() == whole


def test_what_a_killed_writer_has_left_goes_at_the_next_start(tmp_path: Path) -> None:
    left = tmp_path / "tile" / "entries" / "x001" / ".002.17.abcdef01"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    disk = TileDisk(tmp_path, Room(HASHES))
    assert files_in(tmp_path) == []
    assert disk.write(Tile(0, 0), b"h" * 8_192)


def test_a_write_that_fails_leaves_nothing_and_takes_no_room(tmp_path: Path) -> None:
    disk = TileDisk(tmp_path, Room(HASHES))
    blocked = tmp_path / path(0, 0)
    blocked.mkdir(parents=True)  # a folder cannot be replaced by a file
    assert not disk.write(Tile(0, 0), b"h" * 8_192)
    assert files_in(tmp_path) == []
    blocked.rmdir()
    assert disk.write(Tile(0, 0), b"h" * 8_192)
    assert not disk.write(Tile(0, 1), b"h" * 8_192)


def test_a_folder_that_cannot_be_made_keeps_nobody_from_starting(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    disk = TileDisk(tmp_path / "cache" / "access")
    assert not disk.write(Tile(0, 0), b"h" * 8_192)
    assert disk.read(Tile(0, 0)) is None
    assert disk.prune(1_000) == 0
