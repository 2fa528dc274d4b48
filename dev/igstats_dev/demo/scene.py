"""What every chapter needs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from igstats_dev.demo.customer import Customer
from igstats_dev.demo.narrator import Narrator, StoryError
from igstats_dev.stack import Stack

T = TypeVar("T")

PATIENCE = 60.0
_PAUSE = 0.1


@dataclass(frozen=True)
class Person:
    """A synthetic profile of the emulator."""

    username: str
    instagram_user_id: str
    access_token: str

    @property
    def needles(self) -> tuple[str, str]:
        """What must be nowhere afterwards."""
        return self.username, self.instagram_user_id


@dataclass(frozen=True)
class Scene:
    """The stack, a customer of it, and who tells."""

    stack: Stack
    customer: Customer
    say: Narrator


async def until(ask: Callable[[], Awaitable[T]], enough: Callable[[T], bool], waiting_for: str) -> T:
    """Asks again and again until the answer is enough.

    Raises:
        StoryError: It was not within the patience of a spectator.
    """
    deadline = time.monotonic() + PATIENCE
    while not enough(answer := await ask()):
        if time.monotonic() > deadline:
            raise StoryError(f"waited {PATIENCE:g} s for {waiting_for}; the last answer was {answer}")
        await asyncio.sleep(_PAUSE)
    return answer
