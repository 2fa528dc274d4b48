"""Time as an argument."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from igstats_kit.clock import SystemClock, woken
from igstats_kit.testing.clock import FakeClock


def test_system_clock_tells_aware_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_fake_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    assert clock.now() == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    assert clock.advance(timedelta(days=30)) == datetime(2026, 1, 31, tzinfo=UTC) == clock.now()


def test_fake_clock_refuses_naive_times_and_going_back() -> None:
    with pytest.raises(ValueError, match="aware"):
        FakeClock(datetime(2026, 1, 1))  # noqa: DTZ001 - that is what it must refuse
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(timedelta(seconds=-1))


async def test_it_tells_whether_the_event_came() -> None:
    event = asyncio.Event()
    assert not await woken(event, 0)
    event.set()
    assert await woken(event, 60)


async def turn() -> None:
    """Lets everything run that is ready now."""
    ready = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(ready.set_result, None)
    await ready


@pytest.mark.parametrize("turns", range(3))
async def test_a_cancellation_that_comes_with_the_event_is_not_forgotten(turns: int) -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(woken(event, 60))
    await turn()
    event.set()
    for _ in range(turns):
        await turn()
    accepted = waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled() == accepted
