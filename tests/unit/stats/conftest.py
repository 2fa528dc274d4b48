import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from igstats_dev.instagram.people import People
from igstats_dev.instagram.server import Emulator
from igstats_kit.testing.clock import FakeClock

SAMPLES = Path(__file__).parents[2] / "data" / "instagram"


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """Reads one of the public payloads under tests/data/instagram."""

    def read(name: str) -> Any:
        return json.loads((SAMPLES / name).read_text(encoding="utf-8"))

    return read


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 7, 15, 18, 30, tzinfo=UTC))


@pytest.fixture
async def emulator(clock: FakeClock) -> AsyncIterator[Emulator]:
    running = Emulator(People(12, seed=7), clock)
    async with running.listening():
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as opened:
        yield opened
