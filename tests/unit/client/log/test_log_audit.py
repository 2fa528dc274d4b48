"""A whole log is checked from its files: every change of a byte is found, and named by its file."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from igstats_client.forms import Edge, Refusal
from igstats_client.log_audit import Audited, audit
from igstats_client.merkle import ProofError, leaf_hash
from igstats_client.note import Checkpoint, parse_checkpoint, split_note
from igstats_client.tiles import TileError, hashes_of, leaf_hashes_of, leaves_of, tile_path

Written = Any
"""What conftest.py writes."""

Files = dict[str, bytes]


def refused(edge: Edge, path: str = "") -> pytest.RaisesExc[Refusal]:
    return pytest.RaisesExc(Refusal, check=lambda error: (error.edge, getattr(error, "path", "")) == (edge, path))


def checkpoint(log: Written) -> Checkpoint:
    return parse_checkpoint(split_note(log.checkpoint).text)


@pytest.mark.parametrize(("level", "place", "width"), [(0, 0, 256), (None, 1234067, 1), (63, 999, 255), (2, 1000, 256)])
def test_paths_are_those_that_the_server_writes(level: int | None, place: int, width: int) -> None:
    from_place = {0: "000", 1234067: "x001/x234/067", 999: "999", 1000: "x001/000"}[place]
    partial = "" if width == 256 else f".p/{width}"
    assert tile_path(level, place, width) == f"tile/{'entries' if level is None else level}/{from_place}{partial}"


@pytest.mark.parametrize(("level", "place", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_that_cannot_be_have_no_path(level: int, place: int, width: int) -> None:
    with refused(Edge.TILE_PATH, "tile"):
        tile_path(level, place, width)


def test_a_log_of_three_levels_passes(large_log: Written) -> None:
    size = len(large_log.leaves)
    assert audit(checkpoint(large_log), large_log.files.get) == Audited(size, size, 0)


@settings(max_examples=25)
@given(sizes=st.integers(min_value=1, max_value=600))
def test_a_log_of_any_size_passes(write_log: Callable[[list[bytes]], Written], sizes: int) -> None:
    log = write_log([b"x" * (number % 3) for number in range(sizes)])
    assert audit(checkpoint(log), log.files.get).hashed == sizes


@given(data=st.data())
def test_a_changed_byte_in_any_file_is_found_and_named(small_log: Written, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(set(small_log.files) - {"checkpoint"})))
    content = bytearray(small_log.files[path])
    at = data.draw(st.integers(min_value=0, max_value=len(content) - 1))
    content[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    files = {**small_log.files, path: bytes(content)}
    with pytest.raises(TileError) as error:
        audit(checkpoint(small_log), files.get)
    place = path.partition("/")[2].partition("/")[2]
    assert error.value.path in {path, f"tile/0/{place}"}  # a changed leaf contradicts its tile


@given(data=st.data())
def test_every_file_is_needed_and_of_its_length(small_log: Written, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(set(small_log.files) - {"checkpoint"})))
    with refused(Edge.TILE_MISSING, path):
        audit(checkpoint(small_log), {name: content for name, content in small_log.files.items() if name != path}.get)
    for changed in (small_log.files[path] + b"\0", small_log.files[path][:-1], b""):
        with pytest.raises(TileError) as error:
            audit(checkpoint(small_log), {**small_log.files, path: changed}.get)
        assert error.value.path == path
        assert error.value.edge in {Edge.TILE_LENGTH, Edge.BUNDLE}


def test_tiles_that_agree_with_each_other_must_still_make_the_root(
    small_log: Written, write_log: Callable[[list[bytes]], Written]
) -> None:
    forged = write_log([b"forged", *small_log.leaves[1:]])
    with refused(Edge.ROOT):
        audit(checkpoint(small_log), forged.files.get)


def test_a_partial_file_may_have_become_a_full_one(
    small_log: Written, write_log: Callable[[list[bytes]], Written]
) -> None:
    grown = write_log([*small_log.leaves, *(b"more" for _ in range(200))])
    assert "tile/0/002.p/88" not in grown.files
    files = {**grown.files, "tile/1/000.p/2": small_log.files["tile/1/000.p/2"]}
    assert audit(checkpoint(small_log), files.get).hashed == 600


@pytest.mark.parametrize("minimum", [256, 300, 512, 65_536, 65_536 + 256])
def test_what_is_gone_by_policy_is_counted_and_the_rest_checked(large_log: Written, minimum: int) -> None:
    gone = [tile_path(level, place) for level in (0, None) for place in range(minimum // 256)]
    if minimum >= 65_536:
        gone.append(tile_path(1, 0))
    files = {path: content for path, content in large_log.files.items() if path not in gone}
    done = audit(checkpoint(large_log), files.get, minimum)
    assert (done.pruned, done.hashed) == (minimum // 256 * 256, len(large_log.leaves) - minimum // 256 * 256)
    with pytest.raises(TileError):
        audit(checkpoint(large_log), files.get)


def test_hashes_above_what_is_gone_must_make_the_root(large_log: Written) -> None:
    files: Files = {**large_log.files, "tile/1/000": b"\0" * 32 + large_log.files["tile/1/000"][32:]}
    with refused(Edge.TILE_HASH, "tile/2/000.p/1"):
        audit(checkpoint(large_log), files.get, 256)


@pytest.mark.parametrize("minimum", [-1, 601])
def test_a_minimum_outside_the_log_is_refused(small_log: Written, minimum: int) -> None:
    with refused(Edge.INDEX_OUTSIDE):
        audit(checkpoint(small_log), small_log.files.get, minimum)


def test_an_empty_log_proves_nothing() -> None:
    with pytest.raises(ProofError, match="empty"):
        audit(Checkpoint("log", 0, bytes(32)), lambda _: None)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=20))
def test_leaves_of_a_bundle_are_hashed_one_by_one(leaves: list[bytes]) -> None:
    content = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)
    assert leaves_of(content, len(leaves), "bundle") == leaves
    assert leaf_hashes_of(content, len(leaves), "bundle") == [leaf_hash(leaf) for leaf in leaves]


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\1", b"\0\1a\0", b"\0\0\0\0", b"\0\1a\0\2b"])
def test_bundles_out_of_form_are_refused(content: bytes) -> None:
    with refused(Edge.BUNDLE, "bundle"):
        leaf_hashes_of(content, 1, "bundle")


def test_a_tile_is_a_row_of_whole_hashes() -> None:
    assert hashes_of(bytes(64), 2, "tile") == [bytes(32), bytes(32)]
    with refused(Edge.TILE_LENGTH, "tile"):
        hashes_of(bytes(63), 2, "tile")
