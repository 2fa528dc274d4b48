"""The toy holder on a fresh database."""

from collections.abc import Awaitable, Callable

import pytest
from igstats_kit.sql import Database
from igstats_kit.testing.toy_holder import ToyHolder


@pytest.fixture
async def holder(database: Callable[[str], Awaitable[Database]]) -> ToyHolder:
    made = ToyHolder(await database("kit"))
    await made.start()
    return made
