"""The one place where the audit service is put together."""

import json
import sys
from pathlib import Path

from igstats.audit.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from igstats_kit import log, migrate
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.config import read_secret
from igstats_kit.events import Bus
from igstats_kit.holding import Holding
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.seal import Sealer
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.tls import ssl_context
from igstats_kit.tokens import Tokens

from igstats_audit.access import ACCESS
from igstats_audit.calls import CallLog
from igstats_audit.config import AuditConfig
from igstats_audit.consumer import consumers
from igstats_audit.events import RECORDS_STREAM, named_receipts
from igstats_audit.evidence import Evidence
from igstats_audit.note import NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer
from igstats_audit.servicer import AuditServicer
from igstats_audit.store import DayStore, EvidenceStore
from igstats_audit.tables import CALL_DAYS, DECLARATIONS

VERSIONS = Path(__file__).parent / "migrations" / "versions"


async def serve() -> None:
    """Runs the service until it is told to stop."""
    config = AuditConfig.load()
    log.configure(config.service)
    clock = SystemClock()
    database = Database(config.database_url)
    bus = await Bus.connect(config.nats_url, config.service, ssl_context(config))
    channels = Channels(config)

    store = EvidenceStore(database)
    proofs = Proofs(store)
    signer = NoteSigner(config.log_origin, read_secret(config.log_key))
    sequencer = Sequencer(store, proofs, signer)
    evidence = Evidence(store, proofs, named_receipts)

    tokens = Tokens(read_secret(config.suppression_key))
    way, rest = Sealer(read_secret(config.access_seal_key)), Sealer(read_secret(config.seal_key))
    calls = CallLog(DayStore(database), tokens, way, rest, clock, days=CALL_DAYS)

    rpc = RpcServer(config, ACCESS)
    servicer = AuditServicer(sequencer, proofs, evidence, calls, signer.verifier_key, clock)
    add_AuditServiceServicer_to_server(servicer, rpc.server)

    lifecycle = Lifecycle(rpc)
    for close in (database.close, bus.close, channels.close):
        lifecycle.closing(close)
    lifecycle.on_ready(lambda: bus.ensure(RECORDS_STREAM))
    lifecycle.on_ready(sequencer.open)
    lifecycle.on_ready(calls.make_days)
    Holding(config, DECLARATIONS, database, bus, channels, clock).attach(lifecycle, rpc)
    lifecycle.background("sequencer", sequencer.run)
    lifecycle.background("partitions", calls.run)
    for name, consumer in consumers(bus, database, sequencer, calls):
        lifecycle.background(name, consumer.run)
    await lifecycle.run()


async def migrate_database() -> None:
    """Brings the database to the newest revisions."""
    await migrate.upgrade(AuditConfig.load().database_url, VERSIONS)


async def check() -> None:
    """Checks settings, the log's key and the declarations, and prints the settings."""
    config = AuditConfig.load()
    NoteSigner(config.log_origin, read_secret(config.log_key))
    if problems := DECLARATIONS.problems():
        raise SystemExit("\n".join(problems))
    sys.stdout.write(json.dumps(config.describe(), indent=2) + "\n")
