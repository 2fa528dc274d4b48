"""The loop of workers that look at their work again and again."""

import asyncio

import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_kit.worker import regularly
from structlog.testing import capture_logs


async def test_it_looks_until_it_is_cancelled_and_says_what_it_waits_for() -> None:
    enough, looks = asyncio.Event(), 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")
        if looks == 3:
            enough.set()

    with capture_logs() as lines:
        working = asyncio.create_task(regularly(look, 0, "work waits"))
        await enough.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert [(line["event"], line["reason"]) for line in lines] == [("work waits", Reason.DEPENDENCY_UNAVAILABLE)]


async def test_a_fault_of_its_own_ends_it() -> None:
    async def look() -> None:
        raise KeyError("row")

    with pytest.raises(KeyError):
        await regularly(look, 0, "work waits")
