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
