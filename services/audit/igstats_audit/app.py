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

from igstats_audit import payloads
from igstats_audit.access import ACCESS
from igstats_audit.archive import Archives, Readers
from igstats_audit.call_query import PageTokens
from igstats_audit.call_search import CallSearch
from igstats_audit.call_store import CallStore
from igstats_audit.config import AuditConfig
from igstats_audit.consumer import call_tail, consumers
from igstats_audit.events import RECORDS_STREAM, calls, named_receipts
from igstats_audit.evidence import Evidence
from igstats_audit.intake import CallIntake
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.logs import both_logs, note_signers, one_log
from igstats_audit.looks import security_audits
from igstats_audit.model import Log
from igstats_audit.monitor.finding_store import SqlFindings
from igstats_audit.monitor.findings import Findings
from igstats_audit.revealing import RevealedCalls
from igstats_audit.servicer import AuditServicer
from igstats_audit.tables import CALL_DAYS, DECLARATIONS, EVIDENCE_DAYS
from igstats_audit.tile_disk import Room

VERSIONS = Path(__file__).parent / "migrations" / "versions"


async def serve() -> None:
    """Runs the service until it is told to stop."""
    config = AuditConfig.load()
    log.configure(config.service)
    clock = SystemClock()
    database = Database(config.database_url)
    bus = await Bus.connect(config.nats_url, config.service, ssl_context(config), replicas=config.nats_replicas)
    channels = Channels(config)

    keystore = FileKeyStore(config.key_directory)
    keys = DataKeys(keystore, DataKeyTable(database), clock)
    signers = note_signers(config)
    cache = config.tile_directory, Room(config.tile_megabytes << 20)
    single = {one: one_log(one, database, keys, signers[one], clock, *cache) for one in Log}
    logs = both_logs(database, single[Log.EVIDENCE], single[Log.ACCESS], clock)
    kept = logs.evidence.store, logs.evidence.proofs, logs.evidence.cosigned(config.key_directory)
    evidence = Evidence(*kept, named_receipts, clock, days=EVIDENCE_DAYS)
    readers = Readers(payloads.read_receipt, payloads.read_closing)
    archives = Archives(evidence, signers[Log.EVIDENCE], readers)

    tokens, way = Tokens(read_secret(config.suppression_key)), Sealer(read_secret(config.access_seal_key))
    intake = CallIntake(logs.access.sequencer, logs.access.store, tokens, way, calls)
    pages = PageTokens(Sealer(read_secret(config.seal_key)))
    read = logs.access.store.entries
    search = CallSearch(CallStore(database, clock), read, tokens, pages, clock, days=CALL_DAYS)

    findings = Findings(SqlFindings(database))
    audits = security_audits(config, database, channels, logs, keystore.ids, clock)
    rpc = RpcServer(config, ACCESS)
    servicer = AuditServicer(logs, evidence, archives, search, findings, audits, clock)
    add_AuditServiceServicer_to_server(servicer, rpc.server)

    lifecycle = Lifecycle(rpc)
    for close in (database.close, bus.close, channels.close):
        lifecycle.closing(close)
    lifecycle.on_ready(lambda: bus.ensure(RECORDS_STREAM))
    lifecycle.on_ready(keys.ready)
    lifecycle.background("keys", keys.run)
    logs.attach(lifecycle, config.key_directory, config.witness_url, config.witness_keys)
    openers = {"calls": RevealedCalls(read)}
    Holding(config, DECLARATIONS, database, bus, channels, clock, openers).attach(lifecycle, rpc)
    for name, consumer in consumers(bus, database, logs.evidence.sequencer):
        lifecycle.background(name, consumer.run)
    lifecycle.background("audit-access", call_tail(bus, database, intake).run)
    lifecycle.background("security audits", audits.run)
    await lifecycle.run()


async def migrate_database() -> None:
    """Brings the database to the newest revisions."""
    await migrate.upgrade(AuditConfig.load().database_url, VERSIONS)


async def check() -> None:
    """Checks settings, the keys of the logs and the declarations, and prints the settings."""
    config = AuditConfig.load()
    note_signers(config)
    if problems := DECLARATIONS.problems():
        raise SystemExit("\n".join(problems))
    sys.stdout.write(json.dumps(config.describe(), indent=2) + "\n")
