"""What makes a service a holder: announcement, ledger replay, task consumer, outbox relay, retention.

A service that holds data about persons constructs one `Holding` in its `app` and attaches it to its lifecycle.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceStub

from igstats_kit.client import Channels
from igstats_kit.clock import Clock
from igstats_kit.config import ServiceConfig, read_secret
from igstats_kit.declare import Declarations
from igstats_kit.deep_sweep.search import Archive, Reach, Search
from igstats_kit.deep_sweep.worker import DeepSweep, Schedule
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus
from igstats_kit.export_lines import Opener
from igstats_kit.holder import HolderRunner
from igstats_kit.ledger import LedgerReplay
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.log import get_logger
from igstats_kit.outbox import Relay
from igstats_kit.permissions import RIGHTS, Rights
from igstats_kit.receipt import Signer
from igstats_kit.retention import RetentionWorker
from igstats_kit.seal import Sealer
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_RETRY_SECONDS = 0.25

_log = get_logger()


class Holding:
    """The holder's side of one service."""

    def __init__(
        self,
        config: ServiceConfig,
        declarations: Declarations,
        database: Database,
        bus: Bus,
        channels: Channels,
        clock: Clock,
        openers: Mapping[str, Opener] = MappingProxyType({}),
        archives: Sequence[Archive] = (),
    ) -> None:
        channel = channels.to("privacy", config.privacy_address)
        stub = cast("HolderTasksServiceAsyncStub", HolderTasksServiceStub(channel))
        sealer = Sealer(read_secret(config.seal_key))
        subjects = Subjects(declarations, sealer, openers)
        self.signer = Signer(read_secret(config.receipt_key))
        self._bus = bus
        self._monitor_url = config.nats_monitor_url
        self.relay = Relay(database, bus, clock)
        schedule = Schedule(timedelta(seconds=config.deep_sweep_seconds), timedelta(days=config.deep_sweep_days))
        backups = timedelta(days=config.backup_days)
        self.runner = HolderRunner(
            config.service, subjects, database, bus, stub, self.signer, clock, schedule.first, backups
        )
        self.ledger = LedgerReplay(config.service, subjects, database, stub, clock, schedule.first)
        search = Search(declarations, database, _reach(config, bus, archives))
        self.deep_sweep = DeepSweep(config.service, database, sealer, search, schedule, clock)
        self.retention = RetentionWorker(config.service, declarations, database, clock)

    def attach(self, lifecycle: Lifecycle, rpc: RpcServer) -> None:
        """Adds the steps before readiness and the workers after it. Streams of the service must be ensured before."""
        lifecycle.on_ready(self._prove_durability)
        lifecycle.on_ready(lambda: _until_done("register", self.runner.register))
        lifecycle.on_ready(lambda: _until_done("ledger", self.ledger.apply))
        lifecycle.background("outbox", self.relay.run)
        lifecycle.background("tasks", self.runner.consumer().run)
        lifecycle.background("forget", self.runner.forget)
        lifecycle.background("ledger", self.ledger.run)
        lifecycle.background("retention", self.retention.run)
        lifecycle.background("deep-sweep", self.deep_sweep.run)
        lifecycle.background("denials", lambda: self._watch_denials(rpc))

    async def _prove_durability(self) -> None:
        """Refuses to publish unless the server proves that an acknowledged message is on disk."""
        if self._monitor_url:
            await self._bus.prove_durability(self._monitor_url)

    async def _watch_denials(self, rpc: RpcServer) -> None:
        """A denied publish means that permissions and code disagree: nobody should send work here."""
        await self._bus.denied.wait()
        await rpc.set_serving(serving=False)
        await asyncio.Event().wait()


def _reach(config: ServiceConfig, bus: Bus, archives: Sequence[Archive]) -> Reach:
    return Reach(
        bus,
        RIGHTS.get(config.service, Rights()),
        archives,
        config.log_file,
        config.database_directory,
        config.rewrite_megabytes,
    )


async def _until_done(name: str, step: Callable[[], Awaitable[object]]) -> None:
    """Repeats a step until the service it needs answers; every service starts in any order."""
    while True:
        try:
            await step()
        except DomainError as error:
            if error.reason is not Reason.DEPENDENCY_UNAVAILABLE:
                raise
            _log.info("waiting", step=name, reason=error.reason)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return
