"""The deep sweep on the real stack: nothing of a deleted person is left in use, and an undeclared copy is named."""

import asyncio
import io
import re
import urllib.request
from pathlib import Path

import pytest
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import Stack, running
from rich.console import Console
from sqlalchemy import text

from tests.e2e.conftest import World, assert_proved, eventually, privacy_channels

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

# Early on PostgreSQL's own files may still hold the bytes of deleted rows: REMAINS, which is no finding.
_COUNTED = re.compile(r'^igstats_deep_sweeps_total\{outcome="(?:CLEAN|REMAINS)"\} ([0-9.]+)$', re.MULTILINE)


async def _clean_sweeps(stack: Stack, service: str) -> float:
    address = f"http://{stack.layout.address(f'{service}-metrics')}/metrics"
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=5).read().decode())
    return sum(map(float, _COUNTED.findall(page)))


async def test_a_deletion_is_clean_everywhere_and_an_undeclared_copy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IGSTATS_DEEP_SWEEP_SECONDS", "1")
    async with (
        running(tmp_path, ConsoleReport(Console(file=io.StringIO()))) as stack,
        privacy_channels(stack) as channels,
    ):
        world = World(stack, *channels)
        await world.settle_down()
        gone, copied, *_ = await world.crowd.make(13)  # bench0 and bench1, beside bench10 to bench12
        (request,) = await world.until_closed([await world.delete(gone)])
        assert_proved(request)

        async def clean() -> bool:
            return all([await _clean_sweeps(stack, service) >= 1 for service in stack.services])

        await eventually(clean, "every holder has searched deeply and found nothing")

        async with world.database("stats").transaction() as connection:
            await connection.execute(text("CREATE TABLE forgotten (note text)"))
            value = copied.instagram_user_id
            await connection.execute(text("INSERT INTO forgotten VALUES (:value)"), {"value": value})
        (request,) = await world.until_closed([await world.delete(copied)])
        assert_proved(request)
        log = stack.layout.logs / "stats.log"

        async def named() -> bool:
            return any("deep sweep found" in line and "forgotten" in line for line in log.read_text().splitlines())

        await eventually(named, "the table is named")
        assert copied.instagram_user_id not in log.read_text()
        await world.crowd.close()
