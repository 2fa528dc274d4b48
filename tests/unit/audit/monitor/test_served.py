"""The checkpoint that the service shows is compared whatever its size, and may be late, but not for ever."""

from typing import Any

import pytest
from igstats_audit.monitor.served import LATE_LOOKS
from igstats_audit.note import Checkpoint
from igstats_audit.tree import Range, grow, leaf_hash

World = Any
"""The log of conftest.py."""


def shown_of(world: World, size: int, *, other: bool = False) -> bytes:
    """A checkpoint that the log has signed: of its own history, or of another one that begins otherwise."""
    leaves = [leaf_hash(row.leaf) for row in world.rows[:size]] + [leaf_hash(b"")] * max(0, size - len(world.rows))
    tree = grow(Range(), [leaf_hash(b"other"), *leaves[1:]] if other else leaves).after
    note: str = world.signer.sign(Checkpoint(world.signer.name, size, tree.root).text)
    return note.encode()


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 699, 700])
async def test_a_shown_checkpoint_of_another_history_is_a_fork_whatever_its_size(
    world: World, size: int, *, whole: bool
) -> None:
    assert await world.places() == []
    world.made["checkpoint"] = shown_of(world, size, other=True)
    for _ in range(2):
        assert await world.places(whole=whole) == [f"FORK checkpoint {size}"]
    world.grow(20)
    assert await world.places(whole=whole) == [f"FORK checkpoint {size}"]  # what was signed stays signed
    assert world.memory.tree.size == 720


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 699, 700])
async def test_a_shown_checkpoint_that_is_late_is_fine(world: World, size: int) -> None:
    world.made["checkpoint"] = shown_of(world, size)
    assert await world.places() == []
    assert await world.places(whole=False) == []
    assert world.memory.shown == []


async def test_a_shown_checkpoint_ahead_of_the_log_is_compared_when_the_log_has_come_there(world: World) -> None:
    ahead = type(world)()
    ahead.grow(701)
    world.made["checkpoint"] = ahead.made["checkpoint"]
    assert await world.places() == []
    world.grow(1)
    assert await world.places(whole=False) == []
    assert world.memory.shown == []
    world.made["checkpoint"] = shown_of(world, 703, other=True)
    assert await world.places(whole=False) == []
    world.grow(9)
    assert await world.places(whole=False) == ["FORK checkpoint 703"]


async def test_a_log_that_does_not_come_where_its_shown_checkpoint_was_is_a_fork(world: World) -> None:
    world.made["checkpoint"] = shown_of(world, 701, other=True)
    assert await world.places() == []
    assert await world.places(whole=False) == ["FORK checkpoint 701"]


async def test_a_log_that_grows_during_every_look_is_silent_and_compared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = world.tiles

    async def growing(level: int, places: list[int]) -> dict[int, bytes]:
        world.grow(3)
        found: dict[int, bytes] = await tiles(level, places)
        return found

    file = world.file

    async def served(wanted: str) -> bytes | None:
        world.grow(2)
        content: bytes = await file(wanted)
        return content

    monkeypatch.setattr(world, "tiles", growing)
    monkeypatch.setattr(world, "file", served)
    for _ in range(2 * LATE_LOOKS):
        assert await world.places(whole=False) == []
    monkeypatch.undo()
    size = world.size + 1
    world.made["checkpoint"] = shown_of(world, size, other=True)
    assert await world.places(whole=False) == []
    world.grow(5)
    assert await world.places(whole=False) == [f"FORK checkpoint {size}"]


async def test_a_frozen_checkpoint_is_named_after_a_while_and_one_that_is_some_entries_late_never(world: World) -> None:
    frozen, late = world.made["checkpoint"], world.made["checkpoint"]
    for _ in range(LATE_LOOKS + 1):
        world.grow(5)
        late, world.made["checkpoint"] = world.made["checkpoint"], late
        assert await world.places(whole=False) == []
    assert world.memory.behind == 0
    found = []
    for _ in range(LATE_LOOKS + 2):
        world.grow(5)
        world.made["checkpoint"] = frozen
        found += await world.places(whole=False)
    assert found == ["CHECKPOINT_STALE checkpoint"] * 2


async def test_a_log_at_rest_may_show_the_same_checkpoint_for_ever(world: World) -> None:
    for _ in range(LATE_LOOKS + 2):
        assert await world.places(whole=False) == []


async def test_a_shown_checkpoint_is_compared_with_what_the_service_serves_where_rows_are_broken(world: World) -> None:
    await world.publish()
    assert await world.places() == []
    world.made["checkpoint"] = shown_of(world, 300, other=True)
    world.change(280, leaf=b"x" * 88)
    assert await world.places(whole=False) == ["FORK checkpoint 300"]
    assert len(world.memory.shown) == 1
    good, world.made["tile/0/001"] = world.made["tile/0/001"], b""
    assert await world.places(whole=False) == []  # nobody can tell now, so it waits
    world.made["tile/0/001"] = good
    assert await world.places(whole=False) == ["FORK checkpoint 300"]


async def test_what_is_older_than_a_cut_is_not_waited_for(world: World) -> None:
    world.made["checkpoint"] = shown_of(world, 100, other=True)
    note = world.made["checkpoint"]
    world.cut(300)
    world.made["checkpoint"] = note
    assert await world.places() == []
    assert world.memory.shown == []
    world.made["checkpoint"] = shown_of(type(world)(), 0)
    assert await world.places() == []


async def test_not_every_contradiction_is_kept_but_the_first_and_the_newest(world: World) -> None:
    for size in range(100, 140):
        world.made["checkpoint"] = shown_of(world, size, other=True)
        assert f"FORK checkpoint {size}" in await world.places(whole=False)
    sizes = [one.size for one in world.memory.shown]
    assert sizes == [*range(100, 115), 139]
