"""The whole product on one machine: servers, emulator, services; started in order, supervised, stopped in order."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from igstats_kit.migrate import upgrade
from igstats_kit.testing.databases import versions
from igstats_kit.testing.environment import SERVICES
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import ProcessError
from sqlalchemy.exc import SQLAlchemyError

from igstats_dev import parts, ports
from igstats_dev.layout import Layout, role
from igstats_dev.parts import Part
from igstats_dev.report import Report
from igstats_dev.supervisor import Supervised


class AlreadyRunningError(RuntimeError):
    """Another stack uses the folder."""


class NotRunningError(RuntimeError):
    """No stack uses the folder."""


class Stack:
    """A running stack. `parts` are supervised by name: postgres, nats, the emulators, the services, the monitor."""

    def __init__(self, layout: Layout, report: Report, services: Sequence[str] = SERVICES) -> None:
        self.layout = layout
        self.report = report
        self.postgres: Postgres = layout.postgres()
        self.nats: Nats = layout.nats()
        self.parts: dict[str, Supervised] = {}
        self._environments = {service: layout.environment(service) for service in services}

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it runs."""
        return tuple(self._environments)

    def environment(self, service: str) -> dict[str, str]:
        """What the service was told."""
        return dict(self._environments[service])

    async def start(self) -> None:
        """Starts everything; returns when every service serves."""
        self.layout.write_environments()
        self.layout.logs.mkdir(exist_ok=True)
        await _together(
            self._add("postgres", self.postgres),
            self._add("nats", self.nats),
            *(self._add(name, part) for name, part in self._emulators().items()),
        )
        for service in self.services:  # one by one: alembic keeps its context in a global
            await self._prepare(service)
        self.report.step("databases are up to date")
        await _together(*(self._add(name, part) for name, part in self._programs().items()))

    async def stop(self) -> None:
        """Stops everything: services first, servers last."""
        everything = dict(self.parts)
        servers = [everything.pop(name) for name in ("nats", "postgres") if name in everything]
        await asyncio.gather(*(part.stop() for part in everything.values()))
        for server in servers:
            await server.stop()

    async def _add(self, name: str, part: Part) -> None:
        self.parts[name] = Supervised(name, part, self.report)
        await self.parts[name].start()

    async def _prepare(self, service: str) -> None:
        password = self.layout.secrets.password(service)
        await self.postgres.ensure_role(role(service), password)
        await self.postgres.ensure_database(role(service), role(service))
        try:  # what `python -m igstats_<service> migrate` does, without four more interpreters
            await upgrade(self.postgres.url(role(service), password, role(service)), versions(service))
        except SQLAlchemyError as error:
            raise ProcessError(f"the database of {service} could not be migrated: {error}") from error

    def _emulators(self) -> dict[str, Part]:
        layout = self.layout
        address = layout.address
        return {
            "instagram": parts.instagram(layout.logs, address("instagram"), layout.instagram_app),
            "mail": parts.mail(layout.logs, address("mail-smtp"), address("mail-http"), layout.letters),
            "drop": parts.drop(layout.logs, address("drop"), layout.drop_key),
        }

    def _programs(self) -> dict[str, Part]:
        logs = self.layout.logs
        found: dict[str, Part] = {name: parts.service(name, logs, told) for name, told in self._environments.items()}
        if "audit" in self._environments:
            found["monitor"] = parts.monitor(logs, self.layout.monitor_environment(self._environments["audit"]))
        return found


def attached(folder: Path, report: Report) -> Stack:
    """The stack that another process runs in the folder, to look at; its parts belong to that process.

    Raises:
        NotRunningError: Nobody runs one.
    """
    try:
        with _alone(folder):
            raise NotRunningError(f"no stack runs in {folder}: start one with `igstats-dev up`")
    except AlreadyRunningError:
        return Stack(Layout.of_running(folder), report)


@asynccontextmanager
async def running(folder: Path, report: Report, services: Sequence[str] = SERVICES) -> AsyncIterator[Stack]:
    """A stack with its data in the folder, while the block runs. Fewer services serve tests and debuggers.

    Raises:
        AlreadyRunningError: Another process runs a stack there.
        ProcessError: A part did not start; the text ends with its last log lines.
    """
    with _alone(folder), ports.reserved(folder / "ports.json") as chosen:
        stack = Stack(Layout.make(folder, chosen), report, services)
        try:
            await stack.start()
            yield stack
        finally:
            await asyncio.shield(stack.stop())


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder for this process; the kernel lets go of it even when we are killed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunningError(f"process {lock.read() or '?'} already runs a stack in {folder}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


async def _together(*starts: Coroutine[None, None, None]) -> None:
    """Runs the starts side by side; the first that fails ends the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
