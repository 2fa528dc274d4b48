"""Keeps a part running: says when it died, starts it again after a pause that grows while it keeps dying."""

import asyncio
import contextlib
import time

from igstats_kit.testing.processes import Child, ProcessError

from igstats_dev.parts import Part
from igstats_dev.report import Report

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
SETTLED_SECONDS = 30.0


class Supervised:
    """A part under watch."""

    def __init__(self, name: str, part: Part, report: Report) -> None:
        self.name = name
        self.part = part
        self.restarts = 0
        self._report = report
        self._up = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._pause = FIRST_PAUSE

    @property
    def child(self) -> Child:
        """Its process."""
        return self.part.child

    async def start(self) -> None:
        """Starts it, returns when it is ready; from then on it is watched."""
        self._report.starting(self.name)
        await self._start_part()
        self._report.ready(self.name)
        self._watching = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    async def ready(self) -> None:
        """Waits until it is up; at once when it is."""
        await self._up.wait()

    async def kill(self) -> None:
        """Ends it as a crash would; the watch starts it again."""
        self._up.clear()
        await self.child.kill()

    async def stop(self) -> None:
        """Ends the watch, then the part."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        self._up.clear()
        await self.part.stop()

    async def _start_part(self) -> None:
        try:
            await self.part.start()
        except BaseException:
            await asyncio.shield(self.part.stop())
            raise
        self._up.set()

    async def _watch(self) -> None:
        while True:
            begun = time.monotonic()
            code = await self.child.wait()
            self._up.clear()
            if time.monotonic() - begun > SETTLED_SECONDS:
                self._pause = FIRST_PAUSE
            await self._again(_how(code))

    async def _again(self, how: str) -> None:
        """Starts it until it stays ready."""
        while not self._up.is_set():
            self._report.died(self.name, how, self._pause)
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self.restarts += 1
            try:
                await self._start_part()
            except ProcessError as error:
                how = str(error)
        self._report.ready(self.name)


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
