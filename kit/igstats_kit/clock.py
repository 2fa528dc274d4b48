"""Time as an argument: nothing else in igstats reads the wall clock."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)


async def woken(event: asyncio.Event, seconds: float) -> bool:
    """Waits for `event`, `seconds` at the most; tells whether it came.

    Not `asyncio.wait_for`: that of Python 3.11 forgets a cancellation that comes together with the event, and the
    worker that waits would outlive its process's order to stop (CPython issue 86296).
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
