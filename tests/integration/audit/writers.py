"""Writers of both logs, each a process of its own, that are killed while they write.

Evidence comes from callers of `append`; calls come as the stream would bring them: a position always stands for the
same calls, and comes again until it is in the log, and sometimes after that. What is not acknowledged is repeated.
"""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from igstats_audit.model import CallRecord, Log
from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database
from igstats_kit.tail import Placed

from tests.integration.audit.conftest import World, call, entry, placed, signer
from tests.integration.audit.survivors import Acknowledged, Followed, Word

READY, GO_ON = "ready", "go on"
AT_ONCE = 8
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 60
# Writers come from a server that has imported everything once: a fresh interpreter would take a second for each.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.integration.audit.writers"])
for _log in Log:
    signer(_log)  # kept: it takes a part of what a writer needs to start

Line: TypeAlias = "Connection[Any, Any]"


_Answer = TypeVar("_Answer")


def calls_at(position: int) -> list[CallRecord]:
    """The calls of the event at a position of the stream: always the same."""
    return [call(f"call_{position}_{part}", f"acc_{position % 5}") for part in range(1 + position % 3)]


def write(url: str, folder: str, name: str, line: Line) -> None:
    """The writer's process: it works as fast as it can, several callers at once, until it is killed."""
    asyncio.run(_write(World(Database(url), Path(folder)), name, line))


async def _write(world: World, name: str, line: Line) -> None:
    await world.keys.ready()
    for log in Log:
        await world.logs[log].sequencer.open()
    workers = [asyncio.create_task(world.logs[log].sequencer.run()) for log in Log]
    await _append(world, [f"{name}-first"], line)  # the first commits take longest: nobody is to be killed before
    await _follow(world, 1, line)
    line.send(READY)
    line.recv()
    await asyncio.gather(
        *workers, *(_call(world, f"{name}-{number}", line) for number in range(AT_ONCE)), _tail(world, line)
    )


async def _call(world: World, name: str, line: Line) -> None:
    for turn in range(1_000_000):
        await _append(world, [f"{name}-{turn}-{part}" for part in range(1 + turn % 3)], line)


async def _tail(world: World, line: Line) -> None:
    for turn in range(1_000_000):
        await _follow(world, 1 + turn % 3, line)


async def _append(world: World, names: Sequence[str], line: Line) -> None:
    entries = [entry(one, f"req_{len(names)}") for one in names]
    done = await _answered(lambda: world.evidence.sequencer.append(entries))
    for one in done.acknowledgements:
        line.send(Acknowledged(one.entry_id, one.index, list(one.path), done.checkpoint))


async def _follow(world: World, count: int, line: Line) -> None:
    """Hands over the next events, and the last one again: another writer follows the same stream."""
    intake, store = world.intake(), world.access.store
    position = await _answered(intake.position)
    last = position + count
    await _answered(lambda: intake.handle([_event(at) for at in range(max(1, position), last + 1)]))
    line.send(Followed(last, (await _answered(store.head)).checkpoint))


async def _answered(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Asks until the database is there: it may be killed, too."""
    while True:
        try:
            return await ask()
        except DomainError as error:
            if error.reason is not Reason.DEPENDENCY_UNAVAILABLE:
                raise
            await asyncio.sleep(PAUSE_SECONDS)


def _event(position: int) -> Placed:
    return placed(position, *calls_at(position))


class Writer:
    """A writer of its own process."""

    def __init__(self, url: str, folder: Path, name: str) -> None:
        self._line, other = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=write, args=(url, str(folder), name, other))
        self._process.start()
        other.close()
        self._heard: list[Word] = []

    def warm(self) -> None:
        """Waits until it has written and is ready to go on."""
        while (word := self._next()) != READY:
            self._heard.append(word)

    def go_on(self) -> None:
        """Lets it go on, and waits for its next word."""
        self._line.send(GO_ON)
        self._heard.append(self._next())

    def hear_news(self) -> None:
        """Waits for a word that it has not said yet."""
        while self._line.poll():
            self._heard.append(self._next())
        self._heard.append(self._next())

    def kill(self, seconds: float) -> list[Word]:
        """Kills it after so many seconds; answers all that it was told."""
        end = datetime.now(UTC).timestamp() + seconds
        while (left := end - datetime.now(UTC).timestamp()) > 0:
            if self._line.poll(left):
                self._heard.append(self._next())
        return self.end() + self._rest()

    def end(self) -> list[Word]:
        """Kills it if it still runs; answers what was heard of it."""
        self._process.kill()
        self._process.join()
        return self._heard

    def _next(self) -> Any:
        assert self._line.poll(PATIENCE_SECONDS), "a writer is silent"
        try:
            return self._line.recv()
        except EOFError as error:
            raise AssertionError("a writer has ended by itself: its standard error says why") from error

    def _rest(self) -> list[Word]:
        """What it had said without being heard."""
        heard: list[Word] = []
        with self._line:
            while True:
                try:
                    heard.append(self._line.recv())
                except (EOFError, OSError, ValueError):  # nothing more, or a message that was cut off
                    return heard
