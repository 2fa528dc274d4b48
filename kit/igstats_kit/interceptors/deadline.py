"""How long a call may take: every caller must say it, and calls to others inherit what is left."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from igstats_kit.access import is_open
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.access import AccessInterceptor
from igstats_kit.interceptors.chain import Call, Interceptor

MINIMUM_SECONDS = 0.1

_end: ContextVar[float | None] = ContextVar("igstats_deadline", default=None)


def time_left() -> float | None:
    """Seconds until the running RPC must be answered; None when it has no deadline, or no RPC is running."""
    end = _end.get()
    return None if end is None else end - time.monotonic()


class DeadlineInterceptor(Interceptor):
    """Refuses calls that cannot end in time, before they cost anything. Answers that stream may have no deadline."""

    after = (AccessInterceptor,)

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Checks the deadline and keeps it for `time_left`."""
        left: float | None = call.context.time_remaining()
        _end.set(None if left is None else time.monotonic() + left)
        may_miss = call.response_streaming or is_open(call.method)
        too_short = not may_miss if left is None else left < MINIMUM_SECONDS and not is_open(call.method)
        if too_short:
            raise DomainError(Reason.DEADLINE_TOO_SHORT, minimum_ms=f"{MINIMUM_SECONDS * 1000:.0f}")
        yield
