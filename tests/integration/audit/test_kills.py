"""The logs outlive their writers: kill -9 at random moments loses nothing acknowledged, forks nothing, breaks no proof.

Writers work in pairs beside each other, each on both logs, and both are killed; once PostgreSQL is killed under them.
IGSTATS_KILLS sets how many writers in all, IGSTATS_SEED at which moments.
"""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.audit.conftest import World, call, entry
from tests.integration.audit.kills import DEFAULT_KILLS, survive
from tests.integration.audit.survivors import Acknowledged, Findings, Followed, Word, look

KILLS = int(os.environ.get("IGSTATS_KILLS", str(DEFAULT_KILLS)))
SEED = int(os.environ.get("IGSTATS_SEED", str(random.SystemRandom().randrange(1 << 32))))


@pytest.mark.timeout(100 + 4 * KILLS)
async def test_killing_writers_loses_nothing_acknowledged_and_forks_nothing(tmp_path: Path) -> None:
    outcome = await survive(tmp_path, KILLS, SEED)
    assert outcome.findings == Findings(), f"seed {SEED}"
    assert outcome.well, f"nobody was told anything, seed {SEED}"


def calls_at(position: int) -> list[str]:
    return [f"call_{position}"]


@pytest.fixture
async def told(world: World) -> list[Word]:
    """What is true of a small log."""
    async with world.writing() as logs:
        words: list[Word] = []
        for name in ("e0", "e1", "e2"):
            done = await logs.evidence.sequencer.append([entry(name)])
            (one,) = done.acknowledgements
            words.append(Acknowledged(name, one.index, one.path, done.checkpoint))
        for position in (1, 2):
            await world.call(call(f"call_{position}"))
            words.append(Followed(position, (await logs.access.store.head()).checkpoint))
        return words


async def test_what_is_true_of_the_logs_is_found_to_hold(world: World, told: list[Word]) -> None:
    assert await look(world, told, calls_at) == Findings()


async def test_what_is_lost_forked_or_broken_is_found(world: World, told: list[Word]) -> None:
    last, second = told[2], told[4]
    assert isinstance(last, Acknowledged)
    assert isinstance(second, Followed)
    elsewhere = replace(last, entry_id="e9")
    bent = replace(last, path=[b"x" * 32 for _ in last.path])
    unsigned = replace(second, checkpoint=second.checkpoint.replace("\n2\n", "\n3\n", 1))
    assert (await look(world, [elsewhere], calls_at)).lost == ["e9 is not where it was said to be"]
    assert len((await look(world, [bent], calls_at)).broken) == 1
    assert len((await look(world, [unsigned], calls_at)).broken) == 1
    assert "call_3" in (await look(world, [replace(second, position=3)], calls_at)).lost
    assert (await look(world, told, lambda position: [f"call_{position}"] * 2)).forks != []
    other = World(world.database, world.folder / "other")
    note = other.evidence.signer.sign(f"{other.evidence.signer.name}\n2\n{'A' * 43}=\n")
    assert (
        len((await look(world, [replace(last, index=0, entry_id="e0", path=[], checkpoint=note)], calls_at)).forks) == 1
    )
