"""Child processes that end with us: started through launch.py, stopped in order, waited for by condition."""

import asyncio
import contextlib
import functools
import itertools
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from igstats_kit.testing import launch

PORTS = range(20_000, 32_000)
_WORKERS = 16
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Program:
    """What to start and how it likes to be stopped."""

    name: str
    argv: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    user: str = ""
    new_session: bool = True


class ProcessError(RuntimeError):
    """A child process did not start or did not become ready; the text ends with its last log lines."""


class Child:
    """One running program."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self._process = process

    @classmethod
    async def start(cls, program: Program) -> "Child":
        """Starts it in a session of its own, so that a terminal's Ctrl-C reaches only us.

        Call it from the main thread: the kernel ties a child to the thread that made it.
        """
        tie = (str(int(program.orphan_signal)), str(os.getpid()), program.user, "--")
        with program.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", launch.__file__, *tie, *program.argv),
                env={**os.environ, **program.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=program.new_session,
            )
        return cls(program, process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Waits for its end; negative = killed by that signal."""
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; an ended process is left alone."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self, grace: float = 20.0) -> int:
        """Asks it to end, kills it after the grace, waits for the end."""
        self.send(self.program.stop_signal)
        try:
            return await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """Ends it as a crash would."""
        self.send(signal.SIGKILL)
        return await self.wait()

    async def ready(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Waits until the condition holds; raises when the process ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.running:
                raise ProcessError(f"{self.program.name} ended at once: {self.last_words()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.program.name} was not ready in {seconds:g} s: {self.last_words()}")
            await asyncio.sleep(_POLL_SECONDS)

    def last_words(self, lines: int = 12) -> str:
        """The end of its log."""
        text = self.program.log.read_text(errors="replace") if self.program.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(its log is empty)"


async def run_to_end(program: Program, seconds: float = 120.0) -> None:
    """Runs a program that ends by itself; raises with its last words when it fails."""
    child = await Child.start(program)
    try:
        code = await asyncio.wait_for(child.wait(), seconds)
    except BaseException:
        await asyncio.shield(child.kill())
        raise
    if code:
        raise ProcessError(f"{program.name} ended with code {code}: {child.last_words()}")


def free_port() -> int:
    """A free TCP port on 127.0.0.1, below those that the kernel gives to outgoing connections.

    Each worker of a test run, and what it starts, draws from a share of its own: nobody takes a port between another's
    choice and its use. For the same reason no port comes again before all others have.
    """
    return next(filter(port_is_free, _rounds(os.environ.get("PYTEST_XDIST_WORKER", ""))))


@functools.cache
def _rounds(worker: str) -> Iterator[int]:
    """The ports of a worker over and over, in an order of this process's own."""
    share = own_share(worker)
    return itertools.cycle(secrets.SystemRandom().sample(share, len(share)))


def own_share(worker: str) -> range:
    """The ports of a test worker by its name, gw0, gw1, …; all of them for a program that is none's."""
    number = worker.removeprefix("gw")
    return PORTS[int(number) % _WORKERS :: _WORKERS] if number.isdecimal() else PORTS


def port_is_free(port: int) -> bool:
    """Whether somebody could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


async def accepting(address: str) -> None:
    """Waits until a port of this machine, host:port, accepts connections."""
    host, _, port = address.rpartition(":")
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return
        await asyncio.sleep(_POLL_SECONDS)
