"""Workers that look at their work again and again: one loop for all that only wait between two looks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger

_log = get_logger()


async def regularly(look: Callable[[], Awaitable[object]], seconds: float, waiting: str) -> NoReturn:
    """Looks, rests for `seconds`, and looks again, until cancelled.

    A look that ends in a `DomainError`, because something does not answer, is logged as `waiting` and made again after
    the rest. Every other error is the worker's own fault and ends it.
    """
    while True:
        try:
            await look()
        except DomainError as error:
            _log.warning(waiting, reason=error.reason)
        await asyncio.sleep(seconds)
