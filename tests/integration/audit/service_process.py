"""The audit service as a process of its own, with a privacy that is only played."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from igstats.holder.v1.holder_tasks_service_pb2_grpc import (
    HolderTasksServiceServicer,
    add_HolderTasksServiceServicer_to_server,
)
from igstats_kit.access import Access
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError
from igstats_kit.server import RpcServer
from igstats_kit.testing.coordinator import Coordinator
from igstats_kit.testing.processes import Child, Program

from tests.integration.audit.conftest import TOKENS

HOLDER_TASKS = "/igstats.holder.v1.HolderTasksService/"
_LOOK_SECONDS = 0.05


class PlayedPrivacy(HolderTasksServiceServicer):
    """Passes what a holder asks to the coordinator of the kit's tests."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    async def RegisterHolder(self, request: Any, _context: object) -> Any:
        return await self._coordinator.RegisterHolder(request)

    async def LeaseTasks(self, request: Any, _context: object) -> Any:
        return await self._coordinator.LeaseTasks(request)

    async def ListErasures(self, request: Any, _context: object) -> Any:
        return await self._coordinator.ListErasures(request)

    async def UploadExport(self, requests: Any, _context: object) -> Any:
        return await self._coordinator.UploadExport(requests)


@contextlib.asynccontextmanager
async def played_privacy(settings: ServiceConfig) -> AsyncIterator[tuple[int, Coordinator]]:
    """The port of a played privacy, and what it was told."""
    coordinator = Coordinator(TOKENS)
    anyone = Access(frozenset({"audit"}))
    names = ("RegisterHolder", "LeaseTasks", "UploadExport", "ListErasures")
    rpc = RpcServer(settings, {f"{HOLDER_TASKS}{name}": anyone for name in names})
    add_HolderTasksServiceServicer_to_server(PlayedPrivacy(coordinator), rpc.server)
    yield await rpc.start(), coordinator
    await rpc.stop(0)


class Service:
    """A process of the service as a client with these settings sees it. When killed, it can be started again."""

    def __init__(self, settings: ServiceConfig, address: str, folder: Path) -> None:
        self._program = Program("audit", [sys.executable, "-m", "igstats_audit", "serve"], folder / "log")
        self._channels = Channels(settings)
        self._child: Child | None = None
        self.stub: Any = AuditServiceStub(self._channels.to("audit", address))

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._child is not None and self._child.running

    @property
    def said(self) -> str:
        """What all its processes have logged."""
        return self._program.log.read_text()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Tells it to end, and requires that it ends well."""
        await self._channels.close()
        if self._child is not None:
            self._child.send(signal.SIGTERM)
            assert await self._child.wait() == 0, self.said

    async def start(self) -> None:
        """Starts it and waits until it serves."""
        self._child = await Child.start(self._program)
        while not await self._serves():
            assert self.running, self.said
            await asyncio.sleep(_LOOK_SECONDS)

    async def kill(self) -> None:
        """Ends it between any two instructions."""
        if self._child is not None:
            self._child.send(signal.SIGKILL)
            await self._child.wait()

    async def _serves(self) -> bool:
        with contextlib.suppress(DomainError):
            await self.stub.GetCheckpoint(pb.GetCheckpointRequest())
            return True
        return False
