"""The parts of the stack that are our own programs: four services, the monitor of the logs and the emulators."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from igstats_kit.testing.processes import Child, ProcessError, Program

from igstats_dev.health import serving

_READY_SECONDS = 60.0
_MANY = ("--profiles", "144")  # each telling of the story erases one for good


class Part(Protocol):
    """Something the supervisor keeps running."""

    @property
    def child(self) -> Child:
        """The process of the last start."""

    async def start(self) -> None:
        """Starts it; returns when it is ready."""

    async def stop(self) -> None:
        """Ends it in order."""


class Process:
    """A program of ours, ready when `ready` returns."""

    def __init__(self, program: Program, ready: Callable[[], Awaitable[None]]) -> None:
        self.program = program
        self._ready = ready
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The process of the last start."""
        if self._child is None:
            raise RuntimeError(f"{self.program.name} was not started")
        return self._child

    async def start(self) -> None:
        """Starts it; returns when it is ready, raises when it ends before."""
        self._child = await Child.start(self.program)
        ready = asyncio.ensure_future(self._ready())
        ended = asyncio.ensure_future(self._child.wait())
        try:
            await asyncio.wait((ready, ended), timeout=_READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                how = f"ended with code {ended.result()}" if ended.done() else f"not ready in {_READY_SECONDS:g} s"
                raise ProcessError(f"{self.program.name} {how}: {self._child.last_words()}")
            ready.result()
        finally:
            for task in (ready, ended):
                task.cancel()

    async def stop(self) -> None:
        """Ends it in order."""
        if self._child is not None:
            await self._child.stop()


def python(name: str, logs: Path, environment: Mapping[str, str], *arguments: str) -> Program:
    """A program that is a Python module with arguments."""
    settings = {"GRPC_ENABLE_FORK_SUPPORT": "0", "PYTHONUNBUFFERED": "1", **environment}
    return Program(name, (sys.executable, "-m", *arguments), logs / f"{name}.log", settings)


def service(name: str, logs: Path, environment: Mapping[str, str]) -> Process:
    """One of the four services, ready when its health says so."""
    address = environment[f"IGSTATS_{name.upper()}_HEALTH_LISTEN"]
    return Process(python(name, logs, environment, f"igstats_{name}", "serve"), lambda: serving(address))


def monitor(logs: Path, environment: Mapping[str, str]) -> Process:
    """The monitor of the logs, a second process of audit, ready when its health says so."""
    address = environment["IGSTATS_AUDIT_HEALTH_LISTEN"]
    return Process(python("monitor", logs, environment, "igstats_audit", "monitor"), lambda: serving(address))


def instagram(logs: Path, listen: str, app: str) -> Process:
    """The emulator of Instagram with one app, id:secret, for signing in."""
    return _emulator(
        python("instagram", logs, {}, "igstats_dev.instagram", "--listen", listen, *_MANY, "--app", app), listen
    )


def mail(logs: Path, smtp: str, http: str, folder: Path) -> Process:
    """The catcher of letters."""
    places = ("--smtp", smtp, "--http", http, "--folder", str(folder))
    return _emulator(python("mail", logs, {}, "igstats_dev.mail", *places), smtp)


def drop(logs: Path, listen: str, key: str) -> Process:
    """The emulator of California's DROP."""
    return _emulator(python("drop", logs, {}, "igstats_dev.drop", "--listen", listen, f"--key={key}"), listen)


def _emulator(program: Program, listen: str) -> Process:
    """A program that is ready when it accepts connections."""
    host, _, port = listen.rpartition(":")

    async def accepts() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.02)  # `Process.start` bounds it and ends it when the process ends
            else:
                writer.close()
                return await writer.wait_closed()

    return Process(program, accepts)
