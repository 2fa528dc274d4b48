"""The SQL that reads progress and the pure rule say the same about any tasks."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from igstats_privacy import lifecycle, task_store
from igstats_privacy.lifecycle import PHASES, Standing
from igstats_privacy.model import Outcome, Phase, Right, TaskState
from igstats_privacy.tables import tasks
from sqlalchemy import delete, update

from tests.integration.privacy.conftest import Office

DAY = datetime(2026, 5, 1, tzinfo=UTC)


def standing(random: Random, holder: str, phase: Phase) -> Standing:
    state = random.choice([TaskState.SETTLED, TaskState.SETTLED, *TaskState])
    settled = state is TaskState.SETTLED
    outcome = random.choice([Outcome.DONE, Outcome.ERASED, Outcome.RETAINED]) if settled else None
    effective = DAY + timedelta(days=random.randrange(9)) if settled and random.random() < 0.5 else None
    return Standing(holder, phase, state, outcome, effective)


@pytest.mark.parametrize("right", Right)
async def test_sql_and_rule_agree_on_random_tasks(office: Office, right: Right) -> None:
    holders = ["audit", "gateway", "stats"]
    await office.register(*holders)
    request_id = await office.accepted(right)
    random = Random(right)  # noqa: S311 - the same made-up tasks at every run
    for _ in range(40):
        drawn = [standing(random, holder, phase) for holder in holders for phase in PHASES[right]]
        async with office.database.transaction() as connection:
            for one in drawn:
                place = (tasks.c.request_id == request_id, tasks.c.holder == one.holder, tasks.c.phase == one.phase)
                values = {"state": one.state, "outcome": one.outcome, "effective_at": one.effective_at}
                await connection.execute(update(tasks).where(*place).values(values))
            found = (await task_store.progress(connection, [request_id]))[request_id].progress
        assert found == lifecycle.progress(right, drawn, holders)


async def test_a_holder_without_its_tasks_is_missing_to_both(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    left = [Standing("stats", phase, TaskState.SETTLED) for phase in PHASES[Right.ERASURE]]
    async with office.database.transaction() as connection:
        await connection.execute(delete(tasks).where(tasks.c.holder == "gateway"))
        await connection.execute(update(tasks).values(state=TaskState.SETTLED))
        found = (await task_store.progress(connection, [request_id]))[request_id].progress
    assert found == lifecycle.progress(Right.ERASURE, left, ["gateway", "stats"])
    assert found.missing
