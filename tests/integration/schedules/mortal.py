"""A database connection pool of a process that can be killed between any two of its steps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from igstats_kit.sql import Database
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection


class Killed(BaseException):
    """The process is gone. Not an Exception, so that no handler answers it."""


def _mortal(step: Callable[[], None]) -> type[Any]:
    """A connection of the driver whose own statements are steps, too."""

    class MortalConnection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
        async def fetch(self, *arguments: Any, **options: Any) -> Any:
            step()
            return await super().fetch(*arguments, **options)

    return MortalConnection


class MortalDatabase(Database):
    """Dies before a statement, before a commit, or right after one, when its steps are used up."""

    def __init__(self, url: str) -> None:
        super().__init__(url, pool_size=6)
        self.steps_left: int | None = None
        self.died = asyncio.Event()
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._on_step)
        event.listen(self._engine.sync_engine, "do_connect", self._on_connect)

    def _on_connect(self, _dialect: object, _record: object, _arguments: object, settings: dict[str, Any]) -> None:
        settings["connection_class"] = _mortal(self._step)

    def _on_step(self, *_details: Any) -> None:
        self._step()

    def live(self) -> None:
        """The next process: it lives until it is told otherwise."""
        self.steps_left = None
        self.died = asyncio.Event()

    def _step(self) -> None:
        if self.steps_left is None:
            return
        self.steps_left -= 1
        if self.steps_left < 0:
            self.died.set()
            raise Killed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with super().transaction() as connection:
            yield connection
            self._step()  # everything is written, nothing is committed
        self._step()  # committed, and nobody was told
