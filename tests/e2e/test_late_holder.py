"""A holder that registers while a deletion runs gets its share before the request may end."""

import io
from pathlib import Path

import pytest
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import running
from rich.console import Console

from tests.e2e.conftest import World, assert_proved, eventually, privacy_channels

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]


async def test_a_late_holder_gets_its_tasks_before_the_request_ends(tmp_path: Path) -> None:
    async with (
        running(tmp_path, ConsoleReport(Console(file=io.StringIO()))) as stack,
        privacy_channels(stack) as channels,
    ):
        world = World(stack, *channels)
        await world.settle_down()
        await stack.parts["audit"].stop()
        await stack.parts["gateway"].stop()
        async with world.database("privacy").transaction() as connection:
            await connection.exec_driver_sql("DELETE FROM holders WHERE holder = 'audit'")
        (person,) = await world.crowd.make(1)
        request_id = await world.delete(person)

        async def two_have_fenced() -> bool:
            tasks = (await world.request(request_id)).tasks
            return sum(task.phase == 1 and task.state == 4 for task in tasks) == 2

        await eventually(two_have_fenced, "privacy and stats have fenced")
        assert {task.holder for task in (await world.request(request_id)).tasks} == {"gateway", "privacy", "stats"}
        await stack.parts["audit"].start()
        await stack.parts["gateway"].start()
        (request,) = await world.until_closed([request_id])
        assert_proved(request)
        assert await world.rows_of([person]) == 0
        await world.crowd.close()
