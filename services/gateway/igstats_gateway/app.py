"""The one place where the gateway is put together."""

import json
import sys
from datetime import timedelta
from pathlib import Path

from igstats.gateway.v1.inspection_service_pb2_grpc import add_InspectionServiceServicer_to_server
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

from igstats_gateway.access import ACCESS
from igstats_gateway.accounts import Accounts, Registration
from igstats_gateway.audit import AuditClient
from igstats_gateway.authentication import Authentication
from igstats_gateway.commands import Arguments
from igstats_gateway.config import GatewayConfig
from igstats_gateway.declarations import DECLARATIONS
from igstats_gateway.door import Door
from igstats_gateway.doors.drop.room import DropRoom
from igstats_gateway.doors.partners import read_partners
from igstats_gateway.doors.room import DoorsRoom
from igstats_gateway.events import ACCESS as ACCESS_STREAM
from igstats_gateway.grpc_face import PublicMethods
from igstats_gateway.http_face import HttpFace
from igstats_gateway.idempotency import Idempotency
from igstats_gateway.inspection_servicer import InspectionServicer
from igstats_gateway.inspection_store import InspectionStore
from igstats_gateway.keys import Pepper
from igstats_gateway.limits import AddressLimits, Limits, minute
from igstats_gateway.listeners import GrpcListener, HttpListener
from igstats_gateway.local import Local
from igstats_gateway.log_face import LogFace
from igstats_gateway.log_files import LogFiles
from igstats_gateway.metering import Metering
from igstats_gateway.pages import Pages
from igstats_gateway.persons.room import PersonsRoom
from igstats_gateway.relay import Relay, Upstream, connect
from igstats_gateway.routes import OURSELVES, routes
from igstats_gateway.servicer import AccountServicer
from igstats_gateway.site import site
from igstats_gateway.store import Store
from igstats_gateway.transcode import Transcoder

VERSIONS = Path(__file__).parent / "migrations" / "versions"


async def serve(_arguments: Arguments) -> None:
    """Runs the service until it is told to stop."""
    config = GatewayConfig.load()
    log.configure(config.service)
    clock, pepper = SystemClock(), read_secret(config.key_pepper)
    database = Database(config.database_url, pool_size=config.pool_size)
    bus = await Bus.connect(config.nats_url, config.service, ssl_context(config), replicas=config.nats_replicas)
    channels = Channels(config)
    stats = Relay(connect(config, "stats", config.stats_address), "stats")
    privacy = Relay(connect(config, "privacy", config.privacy_address), "privacy")

    tokens = Tokens(read_secret(config.suppression_key))
    store = Store(database, tokens)
    metering = Metering(store.write_records, Sealer(read_secret(config.access_seal_key)), clock)
    limits = Limits(store.spend, minute(config.minute_units), clock)
    authentication = Authentication(store.find_key, Pepper(pepper), clock)
    doors = DoorsRoom(config, channels, authentication, database, clock)
    strangers = AddressLimits(minute(config.stranger_units), clock)
    door = Door(authentication, limits, strangers, metering, clock, doors.signals.hear)
    audit = AuditClient(channels.to("audit", config.audit_address))
    table = routes()
    own = Local(table, AccountServicer(Accounts(store, audit, Pepper(pepper), clock)).methods())
    upstreams: dict[str, Upstream] = {OURSELVES: own, "stats": stats, "privacy": privacy}
    seconds = {"unary": config.unary_seconds, "stream": config.stream_seconds}
    grpc_port = GrpcListener(config, PublicMethods(table, door, upstreams, **seconds))
    longest = timedelta(seconds=2 * config.unary_seconds)
    once = Idempotency(store, Sealer(read_secret(config.seal_key)), pepper, clock, longest=longest)
    logs = LogFace(LogFiles(audit.log_file, clock), AddressLimits(minute(config.address_units), clock))
    methods = HttpFace(Transcoder(table.values()), door, upstreams, once, **seconds)
    http_port = HttpListener(config, site(Pages(config.security_contact, clock), logs, doors, methods))
    rpc = RpcServer(config, ACCESS)
    add_InspectionServiceServicer_to_server(InspectionServicer(InspectionStore(database).key_facts), rpc.server)
    lifecycle = Lifecycle(rpc)
    PersonsRoom(database, tokens, Registration(store, Pepper(pepper), clock)).attach(lifecycle, rpc)
    DropRoom(config, database, tokens, doors.desk, clock).attach(lifecycle)
    for close in (database.close, bus.close, channels.close, doors.close, stats.close, privacy.close, metering.flush):
        lifecycle.closing(close)
    lifecycle.on_ready(lambda: bus.ensure(ACCESS_STREAM))
    Holding(config, DECLARATIONS, database, bus, channels, clock).attach(lifecycle, rpc)
    for port in (grpc_port, http_port):
        lifecycle.on_ready(port.start)
        lifecycle.closing(port.stop)
    doors.attach(lifecycle)
    lifecycle.background("metering", metering.run)
    lifecycle.background("http", http_port.watch)
    await lifecycle.run()


async def migrate_database(_arguments: Arguments) -> None:
    """Brings the database to the newest revisions."""
    await migrate.upgrade(GatewayConfig.load().database_url, VERSIONS)


async def check(_arguments: Arguments) -> None:
    """Checks settings, partners, routes and declarations, and prints the settings."""
    config = GatewayConfig.load()
    Transcoder(routes().values())
    read_partners(config.partners)
    if problems := DECLARATIONS.problems():
        raise SystemExit("\n".join(problems))
    sys.stdout.write(json.dumps(config.describe(), indent=2) + "\n")
