"""Randomised schedules of kill, duplicate, reorder, delay, restore and re-sync: nothing lost, nothing resurrected.

IGSTATS_SCHEDULES says how many (40 by default, 1000 before a release); IGSTATS_SCHEDULE_SEED repeats one, or says where
to begin when both are set.
"""

import os
import sys
from collections import Counter

import pytest
from igstats_kit.testing.databases import Databases
from igstats_kit.testing.postgres import Postgres

from tests.integration.schedules.driver import Schedule, describe
from tests.integration.schedules.world import World

FIRST = int(os.environ.get("IGSTATS_SCHEDULE_SEED", "1"))
COUNT = int(os.environ.get("IGSTATS_SCHEDULES", "1" if "IGSTATS_SCHEDULE_SEED" in os.environ else "40"))
A_WORLD = 10  # schedules that share servers; each has persons of its own
BATCHES = range(FIRST, FIRST + COUNT, A_WORLD)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", BATCHES)
async def test_nothing_is_lost_nothing_comes_back_and_nothing_succeeds_without_effect(
    first: int, postgres: Postgres, databases: Databases
) -> None:
    world = await World.make(postgres, databases)
    done: Counter[str] = Counter()
    try:
        for seed in range(first, min(first + A_WORLD, FIRST + COUNT)):
            schedule = Schedule(seed, world)
            wrong = await schedule.run()
            done += schedule.done
            assert not wrong, describe(seed, wrong)
    finally:
        sys.stdout.write(f"seeds {first} to {seed}: {dict(sorted(done.items()))}\n")
        await world.close()


async def test_a_receipt_under_way_from_before_a_restore_hides_nothing_from_the_replay(
    postgres: Postgres, databases: Databases
) -> None:
    """It settles the ERASE, so that no task would erase what the restored database has again."""
    world = await World.make(postgres, databases)
    try:
        west = world.holders["west"]
        assert await world.sync(west, 1)
        request_id = await world.open(1, "once")
        backup = await world.copy(west)
        await world.office.triage.run_once()
        await _turn(world)
        await _turn(world)
        assert await world.states([request_id]) == {"EXECUTING"}
        await world.publish(world.privacy)
        await world.deliver(*world.wire)
        assert await west.rows_of(1) == 0
        world.wire = []
        await world.publish(west)
        await world.publish(world.holders["east"])
        await world.restore(west, backup)
        await west.get_ready()
        for _ in range(6):
            await _turn(world)
        assert await world.states([request_id]) == {"SETTLING"}
        assert await west.rows_of(1) == 0
    finally:
        await world.close()


async def _turn(world: World) -> None:
    """Everybody publishes, and then everybody gets it."""
    for process in (world.privacy, *world.holders.values()):
        await world.publish(process)
    waiting, world.wire = world.wire, []
    await world.deliver(*waiting)
