"""Tiles in memory and on the disk: they save reading rows, and may be lost or stale in any way that does not lie."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.errors import TileMissingError
from igstats_audit.model import NewEntry
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer
from igstats_audit.tile_disk import TileDisk
from igstats_audit.tile_path import Tile, entries_path, leaves_of, path, tiles
from igstats_audit.tiles import Subtree, TileReader, Tiles
from igstats_audit.tree import Node, Range, grow, leaf_hash
from igstats_client.merkle import root_of
from igstats_kit.errors import DomainError
from igstats_kit.testing.clock import FakeClock

Log = Any
"""MemoryLog of conftest.py."""

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)


async def grown(log: Log, signer: NoteSigner, *sizes: int) -> None:
    sequencer = Sequencer(log, Proofs(log, Tiles(log)), signer, FakeClock(MOMENT))
    await sequencer.open()
    worker = asyncio.create_task(sequencer.run())
    for size in sizes:
        start = len(log.kept)
        names = range(start, start + size)
        await sequencer.append([NewEntry(f"e{name}", "test.made", "", "stats", b"p", MOMENT) for name in names])
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


def files_in(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


class Rows:
    """Counts how often rows are read."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        if name in {"leaves", "tile"}:
            self.reads += 1
        return getattr(self._log, name)


def test_a_subtree_holds_every_node_below_its_tile() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(200)]
    nodes = grow(Range(), leaves).nodes
    subtree = Subtree(b"".join(leaves))
    for node, value in nodes.items():
        if node.level < 8:
            assert subtree.node(node.level, node.place) == value


async def test_all_files_of_a_tree_make_its_root(memory_log: Log, note_signer: NoteSigner) -> None:
    await grown(memory_log, note_signer, 1, 255, 300, 66_000, 7)
    reader, size = TileReader(memory_log, Tiles(memory_log), note_signer), memory_log.newest.tree.size
    for tile in tiles(size):
        content, immutable = await reader.file(path(tile.level or 0, tile.place, tile.width))
        assert (len(content), immutable) == (tile.width * 32, tile.full)
        if tile.level:
            below, _ = await reader.file(path(tile.level - 1, tile.place * 256))
            split = [below[at : at + 32] for at in range(0, len(below), 32)]
            assert grow(Range(), split).after.root == content[:32]
    leaves = [one.leaf for one in memory_log.kept]
    assert grow(Range(), list(map(leaf_hash, leaves))).after == memory_log.newest.tree
    content, _ = await reader.file(entries_path(size >> 8, size & 255))
    assert leaves_of(content) == leaves[size & ~255 :]


async def test_a_proof_from_memory_reads_nothing(memory_log: Log, note_signer: NoteSigner) -> None:
    await grown(memory_log, note_signer, 3_000)
    rows = Rows(memory_log)
    proofs, tree = Proofs(rows, Tiles(rows)), memory_log.newest.tree
    wanted = range(5, 3_000, 17)
    await proofs.inclusions(wanted, tree)
    before = rows.reads
    for index in wanted:
        found = proofs.path_at_hand(index, tree.size)
        assert found is not None
        assert root_of(leaf_hash(memory_log.kept[index].leaf), index, tree.size, found) == tree.root
    assert rows.reads == before


async def test_what_the_proofs_of_a_tile_share_is_kept_for_one_size_only(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    trees = []
    for more in (1_000, 24, 1_500, 1):
        await grown(memory_log, note_signer, more)
        trees.append(memory_log.newest.tree)
    proofs = Proofs(memory_log, Tiles(memory_log))
    for index in (0, 255, 256, 700, 999):
        for tree in (*trees, *reversed(trees)):
            [found] = await proofs.inclusions([index], tree)
            assert root_of(leaf_hash(memory_log.kept[index].leaf), index, tree.size, found) == tree.root


async def test_a_leaf_that_is_a_peak_by_itself_is_proved_from_an_empty_memory(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    await grown(memory_log, note_signer, 605)
    tree = memory_log.newest.tree
    [found] = await Proofs(memory_log, Tiles(memory_log)).inclusions([604], tree)
    assert root_of(leaf_hash(memory_log.kept[604].leaf), 604, 605, found) == tree.root


async def test_few_tiles_in_memory_are_enough_for_every_proof(memory_log: Log, note_signer: NoteSigner) -> None:
    await grown(memory_log, note_signer, 2_000)
    proofs, tree = Proofs(memory_log, Tiles(memory_log, in_memory=3)), memory_log.newest.tree
    for index in range(0, 2_000, 97):
        found = await proofs.path(index, tree.size)
        assert root_of(leaf_hash(memory_log.kept[index].leaf), index, tree.size, found) == tree.root


async def test_the_disk_saves_rows_and_what_is_lost_or_cut_short_is_made_again(
    memory_log: Log, note_signer: NoteSigner, tmp_path: Path
) -> None:
    await grown(memory_log, note_signer, 700)
    first = Tiles(memory_log, TileDisk(tmp_path))
    await TileReader(memory_log, first, note_signer).publish()
    whole = await first.hashes(Tile(0, 1))
    rows = Rows(memory_log)
    assert await Tiles(rows, TileDisk(tmp_path)).hashes(Tile(0, 1)) == whole
    assert rows.reads == 0
    (tmp_path / path(0, 1)).write_bytes(whole[:100])
    assert await Tiles(rows, TileDisk(tmp_path)).hashes(Tile(0, 1)) == whole
    assert (tmp_path / path(0, 1)).read_bytes() == whole
    assert not (tmp_path / path(0, 2)).exists()


async def test_pruning_takes_whole_tiles_below_the_minimum_and_no_other(
    memory_log: Log, note_signer: NoteSigner, tmp_path: Path
) -> None:
    await grown(memory_log, note_signer, 2_000)
    kept = Tiles(memory_log, TileDisk(tmp_path))
    await TileReader(memory_log, kept, note_signer).publish()
    await kept.prune(3 * 256 + 1)
    left = files_in(tmp_path)
    assert left == sorted([*(path(0, place) for place in range(3, 7)), *(entries_path(place) for place in range(3, 7))])


async def test_a_tile_that_rows_do_not_hold_is_missing(memory_log: Log, note_signer: NoteSigner) -> None:
    await grown(memory_log, note_signer, 600)
    for broken in (Tile(0, 2, 100), Tile(1, 0, 3), Tile(2, 0, 1)):
        with pytest.raises(TileMissingError):
            await Tiles(memory_log).hashes(broken)
    with pytest.raises(TileMissingError):
        await Tiles(memory_log).leaves(Tile(None, 2, 100))
    with pytest.raises(TileMissingError):
        await Tiles(memory_log).node(Node(3, 100))


@pytest.mark.parametrize("name", ["", "tile/0/000", "tile/0/000.p/101", "tile/1/000.p/1", "tile/entries/001", "../x"])
async def test_no_file_beyond_the_tree(memory_log: Log, note_signer: NoteSigner, name: str) -> None:
    await grown(memory_log, note_signer, 100)
    with pytest.raises(DomainError) as refused:
        await TileReader(memory_log, Tiles(memory_log), note_signer).file(name)
    assert refused.value.reason == "LOG_FILE_NOT_FOUND"


async def test_a_lost_part_of_the_tree_is_named_as_that(memory_log: Log, note_signer: NoteSigner) -> None:
    await grown(memory_log, note_signer, 600)
    memory_log.rows.clear()
    with pytest.raises(DomainError) as refused:
        await TileReader(memory_log, Tiles(memory_log), note_signer).file("tile/1/000.p/2")
    assert refused.value.reason == "LOG_FILE_LOST"
    assert refused.value.metadata["path"] == "tile/1/000.p/2"


async def test_a_checkpoint_that_somebody_wrote_into_the_head_is_not_signed(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    await grown(memory_log, note_signer, 2)
    text = Checkpoint(note_signer.name, 3, bytes(32)).text
    memory_log.newest = replace(memory_log.newest, checkpoint=f"{text}\n— nobody AAAA\n")
    with pytest.raises(DomainError) as refused:
        await TileReader(memory_log, Tiles(memory_log), note_signer).file("checkpoint")
    assert refused.value.reason == "LOG_FILE_LOST"


async def test_a_cosignature_stands_under_its_checkpoint_until_the_log_grows(
    memory_log: Log, note_signer: NoteSigner
) -> None:
    await grown(memory_log, note_signer, 1)
    reader, before = TileReader(memory_log, Tiles(memory_log), note_signer), await memory_log.head()
    plain = reader.checkpoint(before)
    reader.attach(before, ["— witness.test/w1 AAAAAAAA\n"])
    assert await reader.file("checkpoint") == (f"{plain}— witness.test/w1 AAAAAAAA\n".encode(), False)
    await grown(memory_log, note_signer, 1)
    after = reader.checkpoint(await memory_log.head())
    reader.attach(before, ["— witness.test/w1 AAAAAAAA\n"])
    assert reader.checkpoint(await memory_log.head()) == after
    assert "witness" not in after
