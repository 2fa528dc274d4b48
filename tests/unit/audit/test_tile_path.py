"""Paths and bundles of tlog-tiles: the examples of the specification, round trips, and every path that is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit.tile_path import (
    CHECKPOINT,
    TILE_WIDTH,
    Tile,
    TilePathError,
    bundle,
    entries_path,
    leaves_of,
    parse,
    path,
    tiles,
    written,
)

LEVELS = st.none() | st.integers(min_value=0, max_value=63)
PLACES = st.integers(min_value=0, max_value=2**63 - 1) | st.integers(min_value=0, max_value=2000)
WIDTHS = st.integers(min_value=1, max_value=TILE_WIDTH)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (path(0, 0), "tile/0/000"),
        (path(0, 1234067), "tile/0/x001/x234/067"),
        (path(1, 1, 17), "tile/1/001.p/17"),
        (path(63, 999, 255), "tile/63/999.p/255"),
        (entries_path(1000), "tile/entries/x001/000"),
        (entries_path(273, 112), "tile/entries/273.p/112"),
    ],
)
def test_paths_are_those_of_the_specification(made: str, text: str) -> None:
    assert made == text


@given(LEVELS, PLACES, WIDTHS)
def test_a_path_names_one_tile_and_reads_back(level: int | None, place: int, width: int) -> None:
    tile = Tile(level, place, width)
    assert parse(written(tile)) == tile


def test_the_checkpoint_is_no_tile() -> None:
    assert parse(CHECKPOINT) is None


@given(st.text(alphabet="tile/ntrsxp.0123456789+-_ \n\u0661", max_size=40))
def test_whatever_is_read_would_be_written_alike(text: str) -> None:
    try:
        tile = parse(text)
    except TilePathError:
        return
    assert tile is not None
    assert written(tile) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/checkpoint",
        "checkpoint/",
        "checkpoint\n",
        "tile/0/000\n",
        "tile/0",
        "tile/00/000",
        "tile/+1/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/100/000",
        "tile/data/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x000",
        "tile/0/X001/000",
        "tile/0//000",
        "tile/0/../000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
        "tile/0/000%2ep/1",
    ],
)
def test_every_other_path_is_refused(text: str) -> None:
    with pytest.raises(TilePathError):
        parse(text)


@pytest.mark.parametrize(("level", "place", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_that_cannot_be_have_no_path(level: int, place: int, width: int) -> None:
    with pytest.raises(TilePathError):
        path(level, place, width)


def test_a_tree_of_seventy_thousand_has_the_tiles_of_the_specification() -> None:
    found = tiles(70_000)
    assert [tile for tile in found if not tile.full] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert len(found) == 273 + 1 + 1 + 1 + 1
    assert tiles(256) == [Tile(0, 0), Tile(1, 0, 1)]
    assert tiles(0) == []


def test_a_tile_knows_where_its_leaves_end() -> None:
    assert (Tile(None, 0).end, Tile(0, 1).end, Tile(1, 0, 3).end, Tile(2, 1).end) == (256, 512, 65536, 2 << 24)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=TILE_WIDTH))
def test_a_bundle_reads_back(leaves: list[bytes]) -> None:
    assert leaves_of(bundle(leaves)) == leaves


@pytest.mark.parametrize("leaves", [[], [b""] * 257, [b"x" * 65536]])
def test_bundles_that_cannot_be_are_not_written(leaves: list[bytes]) -> None:
    with pytest.raises(TilePathError):
        bundle(leaves)


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\1", b"\0\1a\0", b"\0\1a\0\2b", b"\0\0" * 257])
def test_bundles_that_end_inside_a_leaf_are_refused(content: bytes) -> None:
    with pytest.raises(TilePathError):
        leaves_of(content)
