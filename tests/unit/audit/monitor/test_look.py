"""A look at a log is silent while the log is what it was, and names whatever is not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from igstats_audit.monitor.model import Opening, OpeningState
from igstats_audit.tree import Range, grow, leaf_hash
from igstats_kit.errors import DomainError, Reason

World = Any
"""The log of conftest.py."""
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def flipped(raw: bytes, at: int, mask: int = 1) -> bytes:
    at %= len(raw)
    return raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]


async def test_a_good_log_is_silent_however_it_grows(world: World) -> None:
    assert await world.places() == []
    for count in (1, 67, 256, 300, 0, 65536, 3):
        world.grow(count) if count else None
        assert await world.places(whole=False) == []
    assert await world.places() == []
    assert world.memory.tree == world.tree


async def test_an_empty_log_is_silent(world: World) -> None:
    assert await type(world)().places() == []


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 65535, 65536, 65537])
async def test_every_edge_of_the_tiles_is_silent(world: World, size: int) -> None:
    edge = type(world)()
    edge.grow(size)
    assert await edge.places() == []
    edge.grow(1)
    assert await edge.places(whole=False) == []
    edge.cut(size // 2)
    assert await edge.places() == []


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("index", [0, 17, 255, 256, 511, 512, 699])
async def test_a_changed_leaf_is_named(world: World, index: int, *, published: bool) -> None:
    if published:
        await world.publish()
    world.change(index, leaf=flipped(world.rows[index].leaf, 60))
    assert await world.places() == [f"LEAF_CHANGED entry {index}"]


async def test_a_changed_leaf_of_an_erased_entry_is_named_by_the_cached_tile_or_else_by_its_range(world: World) -> None:
    world.log = "access"
    world.openings[17] = Opening(OpeningState.ERASED)
    world.change(17, leaf=flipped(world.rows[17].leaf, 70))
    assert await world.places() == ["LEAF_CHANGED entries 0..255"]
    world.made["tile/0/000"] = b"".join(world.nodes[0, index] for index in range(256))
    assert await world.places() == ["LEAF_CHANGED entry 17"]


@pytest.mark.parametrize(("one", "other"), [(3, 200), (600, 699), (640, 641)])
async def test_two_swapped_rows_are_named(world: World, one: int, other: int) -> None:
    world.rows[one], world.rows[other] = (
        replace(world.rows[other], index=one),
        replace(world.rows[one], index=other),
    )
    assert await world.places() == [f"LEAF_CHANGED entry {one}", f"LEAF_CHANGED entry {other}"]


async def test_a_missing_and_a_double_row_are_named(world: World) -> None:
    await world.publish()
    del world.rows[400]
    world.rows.insert(3, world.rows[3])
    assert await world.places() == ["LEAF_CHANGED entry 3", "LEAF_CHANGED entry 400"]


async def test_a_row_beyond_the_tree_is_named(world: World) -> None:
    world.rows.append(world.entry(700, "stats"))
    assert await world.places() == ["LEAF_CHANGED entry 700"]


async def test_changed_columns_and_contents_are_named(world: World) -> None:
    world.change(1, sequence=99)
    world.change(2, producer="nobody")
    world.change(3, sealed=b"another")
    world.openings[4] = Opening(OpeningState.DAMAGED)
    world.openings[5] = Opening(OpeningState.ERASED)
    assert await world.places() == [
        *("LEAF_CHANGED entry 1", "LEAF_CHANGED entry 2"),
        *("PAYLOAD_CHANGED entry 3", "PAYLOAD_CHANGED entry 4", "PAYLOAD_CHANGED entry 5"),
    ]


async def test_erased_and_withheld_calls_are_fine(world: World) -> None:
    world.log = "access"
    world.openings |= {5: Opening(OpeningState.ERASED), 6: Opening(OpeningState.WITHHELD)}
    assert await world.places() == []


@pytest.mark.parametrize("place", [0, 1])
async def test_a_changed_or_missing_tile_of_a_large_log_is_named(world: World, place: int) -> None:
    world.grow(66_000)
    good = world.table[1, place]
    for bad in (flipped(good, 40), b"", good[:31]):
        world.table[1, place] = bad
        assert await world.places() == [f"TILE_CHANGED tile/1/00{place}"]
    world.table[1, place] = good
    world.table[2, 0] = flipped(world.table[2, 0], 5)
    assert await world.places() == ["TILE_CHANGED tile/2/000"]


async def test_a_tile_and_a_leaf_changed_together_are_both_named(world: World) -> None:
    world.table[1, 0] = flipped(world.table[1, 0], 40)
    world.change(9, leaf=flipped(world.rows[9].leaf, 60))
    assert await world.places() == ["TILE_CHANGED tile/1/000", "LEAF_CHANGED entry 9"]


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/001", "tile/entries/001", "tile/1/000.p/2", "tile/0/002.p/188"])
async def test_a_changed_file_is_named(world: World, name: str) -> None:
    await world.publish()
    world.made[name] = flipped(await world.file(name), 70)
    assert await world.places() == [f"TILE_CHANGED {name.partition('.p/')[0]}"]


@pytest.mark.parametrize("path", ["tile/1/000.p/2", "tile/0/001", "tile/entries/001", "tile/entries/002.p/188"])
async def test_a_file_that_cannot_be_made_is_named_and_hides_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    good, last = world.file, "tile/entries/000"

    async def failing(wanted: str) -> bytes | None:
        if wanted == path:
            raise DomainError(Reason.INTERNAL)
        content: bytes = await good(wanted)
        return flipped(content, 70) if wanted == last else content

    monkeypatch.setattr(world, "file", failing)
    assert set(await world.places()) == {f"TILE_CHANGED {path.partition('.p/')[0]}", f"TILE_CHANGED {last}"}


async def test_a_changed_bundle_of_a_partly_cut_block_is_named(world: World) -> None:
    world.cut(300)
    world.made["tile/entries/001"] = flipped(await world.file("tile/entries/001"), 70)
    assert await world.places() == ["TILE_CHANGED tile/entries/001"]


async def test_one_late_answer_leaves_the_others_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = world.file

    async def late(wanted: str) -> bytes | None:
        if wanted == "tile/1/000.p/2":
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="audit")
        content: bytes = await good(wanted)
        return flipped(content, 70) if wanted == "tile/entries/000" else content

    monkeypatch.setattr(world, "file", late)
    looker = world.looker()
    found = await looker.look(START, whole=True)
    assert [one.place for one in found] == ["tile/entries/000"]
    assert not looker.complete
    assert world.memory.audited_at is None


async def test_a_checkpoint_that_cannot_be_shown_is_named_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_wanted: str) -> bytes | None:
        raise DomainError(Reason.INTERNAL)

    monkeypatch.setattr(world, "file", broken)
    assert await world.places() == ["CHECKPOINT_INVALID checkpoint"]
    assert world.memory.audited_at is None
    world.row = replace(world.row, size=699)
    assert await world.places() == ["HEAD_CHANGED head"]


async def test_a_changed_head_is_named(world: World) -> None:
    assert await world.places() == []
    good = world.row
    for change in (
        {"root": flipped(good.root, 3)},
        {"size": 699},
        {"compact_range": flipped(good.compact_range, 9)},
        {"compact_range": good.compact_range[:-1]},
        {"minimum_index": 701},
        {"minimum_index": -1},
    ):
        world.row = replace(good, **change)
        assert (await world.places())[0] == "HEAD_CHANGED head"
    world.row = None
    assert await world.places() == ["HEAD_CHANGED head"]
    world.row = good
    assert await world.places() == []


@pytest.mark.parametrize("mask", [1, 32, 127])
async def test_any_changed_byte_of_a_checkpoint_is_noticed(world: World, mask: int) -> None:
    good = world.row.checkpoint.encode()
    for at in range(len(good)):
        world.row = replace(world.row, checkpoint=flipped(good, at, mask).decode("latin-1"))
        assert (await world.places(whole=False))[0] == "CHECKPOINT_INVALID checkpoint"


async def test_a_smaller_checkpoint_signed_again_is_a_fork(world: World) -> None:
    assert await world.places() == []
    late = world.tree
    world.tree = grow(Range(), [leaf_hash(row.leaf) for row in world.rows[:650]]).after
    world.rows = world.rows[:650]
    world.sign()
    assert await world.places() == ["FORK checkpoint 700"]
    assert world.memory.tree == late


async def test_another_history_signed_again_is_a_fork(world: World) -> None:
    assert await world.places() == []
    other = type(world)()
    other.memory = world.memory
    other.append([other.entry(index, "stats") for index in range(700)])
    assert await other.places(whole=False) == ["FORK checkpoint 700"]
    other.append([other.entry(index, "stats") for index in range(700, 900)])
    assert await other.places() == ["FORK checkpoint 700"]
    assert await other.places(whole=False) == ["FORK checkpoint 700"]


async def test_a_cut_is_fine_when_its_days_are_over_and_named_when_they_are_not(world: World) -> None:
    assert await world.places() == []
    world.cut(300)
    assert await world.places(now=START + timedelta(days=31)) == []
    world.grow(10)
    assert await world.places(now=START + timedelta(days=31)) == []
    world.cut(705)
    found = await world.places(now=START + timedelta(days=40))
    assert found == ["HEAD_CHANGED head", "LEAF_CHANGED entries 300..511", "LEAF_CHANGED entries 512..704"]


async def test_a_minimum_index_that_goes_back_is_named(world: World) -> None:
    world.cut(300)
    assert await world.places() == []
    world.minimum = 290
    world.sign()
    assert "HEAD_CHANGED head" in await world.places()


async def test_a_changed_hash_of_a_cut_leaf_is_named_by_its_tile(world: World) -> None:
    world.cut(300)
    world.table[0, 1] = flipped(world.table[0, 1], 70)
    assert await world.places() == ["TILE_CHANGED tile/0/001"]
    world.table[0, 1] = b""
    assert "TILE_CHANGED tile/0/001" in await world.places()


async def test_many_missing_rows_are_named_together(world: World) -> None:
    await world.publish()
    del world.rows[250:300]
    assert await world.places() == ["LEAF_CHANGED entries 250..255", "LEAF_CHANGED entries 256..299"]


async def test_a_cut_that_nobody_announced_is_named(world: World) -> None:
    world.cut(300)
    world.cuts.clear()
    assert (await world.places())[0] == "HEAD_CHANGED head"


async def test_a_log_that_nobody_has_opened_yet_is_silent(world: World) -> None:
    fresh = type(world)()
    fresh.row = None
    assert await fresh.places() == []
    world.row = None
    assert await world.places() == ["HEAD_CHANGED head"]
