"""The only place that starts things: config, database, bus, channels, rooms, servicers, consumers, workers."""

import json
import sys
from functools import partial
from pathlib import Path

from igstats.api.v1.request_service_pb2_grpc import add_RequestServiceServicer_to_server
from igstats.holder.v1.holder_tasks_service_pb2_grpc import add_HolderTasksServiceServicer_to_server
from igstats.privacy.v1.decision_service_pb2_grpc import add_DecisionServiceServicer_to_server
from igstats.privacy.v1.identity_service_pb2_grpc import add_IdentityServiceServicer_to_server
from igstats.privacy.v1.privacy_service_pb2_grpc import add_PrivacyServiceServicer_to_server
from igstats.privacy.v1.record_service_pb2_grpc import add_RecordServiceServicer_to_server
from igstats.privacy.v1.status_service_pb2_grpc import add_StatusServiceServicer_to_server
from igstats_kit import log, migrate
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.events import Bus, Consumer
from igstats_kit.holding import Holding
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.tls import ssl_context

from igstats_privacy.access import access
from igstats_privacy.canaries.room import CanariesRoom
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.consumer import CorrectionConsumer, ReceiptConsumer
from igstats_privacy.core import Core
from igstats_privacy.decisions.room import DecisionsRoom
from igstats_privacy.declarations import DECLARATIONS
from igstats_privacy.events import CORRECTIONS, RECEIPTS, STREAMS
from igstats_privacy.holder_tasks_servicer import HolderTasksServicer
from igstats_privacy.ledger import Ledger
from igstats_privacy.letters.room import LettersRoom
from igstats_privacy.packages.room import PackagesRoom
from igstats_privacy.privacy_servicer import PrivacyServicer
from igstats_privacy.proofs.room import ProofsRoom
from igstats_privacy.reconciler import Reconciler
from igstats_privacy.records.room import RecordsRoom
from igstats_privacy.request_servicer import RequestServicer
from igstats_privacy.status.opt_outs import OptOuts
from igstats_privacy.status.servicer import StatusServicer

VERSIONS = Path(__file__).parent / "migrations" / "versions"

# Receipts of a phase make one transaction instead of four: the last one, which the phase needs, ends the waiting.
_LINGER_SECONDS = 0.02


async def build(config: PrivacyConfig) -> Lifecycle:
    """Everything of this service, wired and not yet running."""
    clock = SystemClock()
    database = Database(config.database_url)
    bus = await Bus.connect(config.nats_url, config.service, ssl_context(config), replicas=config.nats_replicas)
    channels = Channels(config)
    core = Core(config, database, channels, clock)
    packages = PackagesRoom(core)
    letters = LettersRoom(config, core, packages.links)
    proofs = ProofsRoom(config, core, channels, letters.post, packages.links)
    records = RecordsRoom(config, core)
    decisions = DecisionsRoom(config, core)
    reconciler = Reconciler(database, core.fanout, core.exports, core.changes, clock, proofs.fallback, decisions.holds)

    rpc = RpcServer(config, access(config.holder_names))
    public = RequestServicer(core.requests, packages.packages, core.registry, core.evidence, core.recipients)
    add_RequestServiceServicer_to_server(public, rpc.server)
    officers = PrivacyServicer(core.requests, core.registry, core.recipients, packages.excerpts, clock)
    add_PrivacyServiceServicer_to_server(officers, rpc.server)
    add_IdentityServiceServicer_to_server(proofs.servicer, rpc.server)
    add_RecordServiceServicer_to_server(records.servicer, rpc.server)
    add_DecisionServiceServicer_to_server(decisions.servicer, rpc.server)
    opt_outs = OptOuts(database, core.identifiers)
    status = StatusServicer(
        core.requests, core.codes, core.registry, core.evidence, packages.links, opt_outs, proofs.offers, clock
    )
    add_StatusServiceServicer_to_server(status, rpc.server)
    ledger = Ledger(database, clock)
    holder_tasks = HolderTasksServicer(core.registry, core.leases, core.shares, ledger, clock)
    add_HolderTasksServiceServicer_to_server(holder_tasks, rpc.server)

    lifecycle = Lifecycle(rpc)
    for close in (database.close, bus.close, channels.close, proofs.close):
        lifecycle.closing(close)
    for stream in STREAMS:
        lifecycle.on_ready(partial(bus.ensure, stream))
    holding = Holding(config.as_holder(), DECLARATIONS, database, bus, channels, clock, archives=[core.exports.stored])
    holding.attach(lifecycle, rpc)
    consumer = ReceiptConsumer(database, core.registry, core.receipts, core.changes, clock, holding.signer)
    heard = Consumer(bus, database, RECEIPTS, consumer.handle, linger=_LINGER_SECONDS, enough=len(config.holder_names))
    lifecycle.background("receipts", heard.run)
    lifecycle.background("corrections", Consumer(bus, database, CORRECTIONS, CorrectionConsumer(database).handle).run)
    lifecycle.background("triage", core.triage.run)
    lifecycle.background("reconciler", reconciler.run)
    lifecycle.background("ledger-guard", lambda: ledger.guard(partial(rpc.set_serving, serving=False)))
    letters.attach(lifecycle)
    records.attach(lifecycle)
    CanariesRoom(config, core, channels).attach(lifecycle)
    lifecycle.background("proofs", proofs.forgetting.run)
    return lifecycle


async def serve() -> None:
    """Runs the service until it is told to stop."""
    config = PrivacyConfig.load()
    log.configure(config.service)
    await (await build(config)).run()


async def migrate_database() -> None:
    """Brings the database to the newest revisions."""
    await migrate.upgrade(PrivacyConfig.load().database_url, VERSIONS)


async def check() -> None:
    """Checks settings and declarations, and prints the settings."""
    config = PrivacyConfig.load()
    if problems := DECLARATIONS.problems():
        raise SystemExit("\n".join(problems))
    sys.stdout.write(json.dumps(config.describe(), indent=2) + "\n")
