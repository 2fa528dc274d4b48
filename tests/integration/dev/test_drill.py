"""The drill of a restored backup: it holds, and it notices when it does not."""

import io
from pathlib import Path

import pytest
from igstats_dev.drill import RestoreDrill
from igstats_dev.report import SilentReport
from igstats_dev.stack import Stack, running
from rich.console import Console

pytestmark = pytest.mark.timeout(400)


class Forgetful(RestoreDrill):
    """A drill of a service that believes to know the whole ledger: what it restores stays."""

    async def put_back(self) -> None:
        await super().put_back()
        async with self._stack.postgres.admin("igstats_stats") as connection:
            await connection.execute("UPDATE holder_state SET erasure_sequence = 6")


async def drilled(kind: type[RestoreDrill], stack: Stack) -> tuple[bool, str]:
    console = Console(file=io.StringIO(), width=160)
    held = await kind(stack, console).run()
    text = console.file
    assert isinstance(text, io.StringIO)
    return held, text.getvalue()


async def test_a_restored_database_heals_before_it_serves_and_a_drill_notices_one_that_does_not(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "data", SilentReport()) as stack:
        held, words = await drilled(RestoreDrill, stack)
        assert held, words
        assert "runs and does not serve" in words
        held, words = await drilled(Forgetful, stack)
        assert not held
        assert "3 are back" in words
