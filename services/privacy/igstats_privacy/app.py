"""The only place that constructs things: config, database, bus, channels, use cases, servicers, consumers, workers."""

import json
import sys
from functools import partial
from pathlib import Path
from random import SystemRandom

from igstats.api.v1.request_service_pb2_grpc import add_RequestServiceServicer_to_server
from igstats.holder.v1.holder_tasks_service_pb2_grpc import add_HolderTasksServiceServicer_to_server
from igstats.privacy.v1.privacy_service_pb2_grpc import add_PrivacyServiceServicer_to_server
from igstats.privacy.v1.status_service_pb2_grpc import add_StatusServiceServicer_to_server
from igstats_kit import log, migrate
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.config import read_secret
from igstats_kit.events import Bus, Consumer
from igstats_kit.holding import Holding
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.seal import Sealer
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.tls import ssl_context
from igstats_kit.tokens import Tokens

from igstats_privacy.access import access
from igstats_privacy.changes import Changes
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.consumer import ReceiptConsumer
from igstats_privacy.declarations import DECLARATIONS
from igstats_privacy.events import RECEIPTS, STREAMS
from igstats_privacy.exports import Exports
from igstats_privacy.fanout import Fanout
from igstats_privacy.holder_tasks_servicer import HolderTasksServicer
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.leases import Leases
from igstats_privacy.ledger import Ledger
from igstats_privacy.privacy_servicer import PrivacyServicer
from igstats_privacy.receipts import Receipts
from igstats_privacy.reconciler import Reconciler
from igstats_privacy.registry import Registry
from igstats_privacy.request_servicer import RequestServicer
from igstats_privacy.requests import Requests
from igstats_privacy.status.opt_outs import OptOuts
from igstats_privacy.status.servicer import StatusServicer
from igstats_privacy.status_codes import StatusCodes
from igstats_privacy.triage import Triage
from igstats_privacy.upstream import AuditEvidence, StatsProfiles

VERSIONS = Path(__file__).parent / "migrations" / "versions"

# Holders settle a phase within milliseconds of each other: their receipts make one transaction instead of four.
_LINGER_SECONDS = 0.005


async def build(config: PrivacyConfig) -> Lifecycle:
    """Everything of this service, wired and not yet running."""
    clock = SystemClock()
    database = Database(config.database_url)
    bus = await Bus.connect(config.nats_url, config.service, ssl_context(config))
    channels = Channels(config)

    seal_key = read_secret(config.seal_key)
    sealer, codes = Sealer(seal_key), StatusCodes(seal_key)
    identifiers = Identifiers(sealer, Tokens(read_secret(config.suppression_key)))
    changes = Changes()
    fanout = Fanout(clock, SystemRandom().random)
    registry = Registry(database, fanout, changes, clock)
    exports = Exports(database, sealer, identifiers, clock, config.export_days)
    profiles = StatsProfiles(channels.to("stats", config.stats_address))
    triage = Triage(database, fanout, profiles, identifiers, changes, clock)
    requests = Requests(database, fanout, identifiers, changes, clock, triage.wake, codes)
    leases = Leases(database, identifiers, changes, clock)
    receipts = Receipts(fanout, clock, config.backup_days)
    reconciler = Reconciler(database, fanout, exports, changes, clock)
    evidence = AuditEvidence(channels.to("audit", config.audit_address))

    rpc = RpcServer(config, access(config.holder_names))
    add_RequestServiceServicer_to_server(RequestServicer(requests, exports, registry, evidence), rpc.server)
    add_PrivacyServiceServicer_to_server(PrivacyServicer(requests, registry, clock), rpc.server)
    opt_outs = OptOuts(database, identifiers)
    status = StatusServicer(requests, codes, registry, evidence, opt_outs, lambda _shown: (), clock)
    add_StatusServiceServicer_to_server(status, rpc.server)
    holder_tasks = HolderTasksServicer(registry, leases, exports, Ledger(database, clock), clock)
    add_HolderTasksServiceServicer_to_server(holder_tasks, rpc.server)

    consumer = ReceiptConsumer(database, registry, receipts, changes, clock)
    lifecycle = Lifecycle(rpc)
    for close in (database.close, bus.close, channels.close):
        lifecycle.closing(close)
    for stream in STREAMS:
        lifecycle.on_ready(partial(bus.ensure, stream))
    Holding(config.as_holder(), DECLARATIONS, database, bus, channels, clock).attach(lifecycle, rpc)
    heard = Consumer(bus, database, RECEIPTS, consumer.handle, linger=_LINGER_SECONDS, enough=len(config.holder_names))
    lifecycle.background("receipts", heard.run)
    lifecycle.background("triage", triage.run)
    lifecycle.background("reconciler", reconciler.run)
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
