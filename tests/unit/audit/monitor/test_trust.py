"""The keys of a log are those that it was first seen with, until it says itself that it goes on under another name."""

from typing import Any

import pytest
from igstats_audit.monitor.heads import Keys

from tests.unit.audit.monitor.conftest import signer

World = Any
"""The log of conftest.py."""
NEW = "igstats.test/after/evidence"


async def test_other_keys_of_the_same_name_are_a_finding_and_not_believed(world: World) -> None:
    assert await world.places() == []
    pinned = world.memory.keys
    world.signer = signer(world.signer.name, 7)
    world.sign()
    for _ in range(2):
        assert (await world.places())[:1] == ["CHECKPOINT_INVALID checkpoint"]
        assert "KEYS_CHANGED keys" in await world.places(whole=False)
    assert world.memory.keys == pinned


async def test_a_log_that_goes_on_under_another_name_goes_on_in_the_memory(world: World) -> None:
    assert await world.places() == []
    last, old = world.row.checkpoint, world.signer
    world.signer = signer(NEW, 7)
    world.sign()
    assert "KEYS_CHANGED keys" in await world.places()  # nobody has announced it
    world.renamings[NEW] = signer(old.name, 9).sign(last.partition("\n\n")[0] + "\n")
    assert "KEYS_CHANGED keys" in await world.places()  # nor did the old keys
    world.renamings[NEW] = last
    assert await world.places() == []
    world.grow(5)
    assert await world.places(whole=False) == []
    assert world.memory.keys == Keys.of(world.signer.verifier_keys).verifier_keys == world.signer.verifier_keys


async def test_another_history_under_another_name_is_a_fork(world: World) -> None:
    assert await world.places() == []
    other = type(world)()
    other.memory, other.renamings = world.memory, {NEW: world.row.checkpoint}
    other.signer = signer(NEW, 7)
    other.append([other.entry(index, "stats") for index in range(800)])
    assert await other.places() == ["FORK checkpoint 700"]


def test_the_keys_of_a_log_are_read_from_the_lines_of_both() -> None:
    ours, other = signer(NEW), signer("igstats.test/after/access", 7)
    lines = f"{other.verifier_key}\n{ours.verifier_key}\n"
    assert Keys.among(lines, NEW).verifier_keys == [ours.verifier_key]
    for bad in ("", other.verifier_key, lines.replace("+A", "+B"), f"{NEW}+1234", f"{NEW}+00000000+AQ=="):
        with pytest.raises(ValueError, match=r"Ed25519|unpack|base64|padded|decode"):
            Keys.among(bad, NEW)
