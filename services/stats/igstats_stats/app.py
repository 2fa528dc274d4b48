"""The one place where stats is put together."""

import asyncio
import json
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiohttp
from igstats.api.v1.connection_service_pb2_grpc import add_ConnectionServiceServicer_to_server
from igstats.api.v1.stats_service_pb2_grpc import add_StatsServiceServicer_to_server
from igstats.stats.v1.subject_service_pb2_grpc import add_SubjectServiceServicer_to_server
from igstats_kit import log, migrate
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.config import read_secret
from igstats_kit.events import Bus
from igstats_kit.holding import Holding
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.pins import Pins
from igstats_kit.seal import Sealer
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.tls import ssl_context
from igstats_kit.tokens import Tokens

from igstats_stats.access import ACCESS
from igstats_stats.config import StatsConfig
from igstats_stats.connections import Connections
from igstats_stats.consumer import SyncRequests
from igstats_stats.departures import Departures
from igstats_stats.events import STREAMS
from igstats_stats.graph import GraphClient
from igstats_stats.ingestion import Ingestion
from igstats_stats.instagram import InstagramClient
from igstats_stats.pages import PageTokens
from igstats_stats.profiles import Profiles
from igstats_stats.series import TimeSeries
from igstats_stats.servicer import ConnectionServicer, StatsServicer
from igstats_stats.store.connections import ConnectionStore
from igstats_stats.store.departures import DepartureStore
from igstats_stats.store.ingest import IngestStore
from igstats_stats.store.reads import ReadStore
from igstats_stats.subject_servicer import SubjectServicer
from igstats_stats.syncing import SLOTS, SyncWorker
from igstats_stats.tables import DECLARATIONS

VERSIONS = Path(__file__).parent / "migrations" / "versions"


async def serve() -> None:
    """Runs the service until it is told to stop."""
    config = StatsConfig.load()
    log.configure(config.service)
    clock = SystemClock()
    database = Database(config.database_url, pool_size=config.pool_size)
    bus = await Bus.connect(config.nats_url, config.service, ssl_context(config), replicas=config.nats_replicas)
    channels = Channels(config)

    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=config.instagram_seconds))
    url, version = str(config.instagram_url), config.instagram_version
    graph = GraphClient(session, url, clock, version=version, pause=asyncio.sleep)
    instagram = InstagramClient(graph, config.instagram_app_id)

    sealer, tokens = Sealer(read_secret(config.seal_key)), Tokens(read_secret(config.suppression_key))
    store, reads = ConnectionStore(database, tokens, sealer), ReadStore(database, tokens)
    ingestion = Ingestion(IngestStore(database, tokens, Pins(sealer), clock), clock)
    worker = SyncWorker(store, ingestion, instagram, clock, interval=timedelta(seconds=config.sync_seconds))

    pages = PageTokens(sealer)
    profiles = Profiles(reads, pages)
    connections = Connections(store, instagram, pages, clock)
    rpc = RpcServer(config, ACCESS)
    add_StatsServiceServicer_to_server(StatsServicer(profiles, TimeSeries(profiles, reads)), rpc.server)
    add_ConnectionServiceServicer_to_server(ConnectionServicer(connections), rpc.server)
    add_SubjectServiceServicer_to_server(SubjectServicer(profiles, connections), rpc.server)

    lifecycle = Lifecycle(rpc)
    for close in (database.close, bus.close, channels.close, session.close):
        lifecycle.closing(close)
    for stream in STREAMS:
        lifecycle.on_ready(partial(bus.ensure, stream))
    Holding(config, DECLARATIONS, database, bus, channels, clock).attach(lifecycle, rpc)
    lifecycle.background("sync-requests", SyncRequests(store, worker, clock).consumer(bus, database).run)
    for _ in range(SLOTS):
        lifecycle.background("synchronisation", worker.run)
    departures = Departures(DepartureStore(database), clock, stay=timedelta(days=config.departed_days))
    lifecycle.background("departures", departures.run)
    await lifecycle.run()


async def migrate_database() -> None:
    """Brings the database to the newest revisions."""
    await migrate.upgrade(StatsConfig.load().database_url, VERSIONS)


async def check() -> None:
    """Checks settings and declarations, and prints the settings."""
    config = StatsConfig.load()
    if problems := DECLARATIONS.problems():
        raise SystemExit("\n".join(problems))
    sys.stdout.write(json.dumps(config.describe(), indent=2) + "\n")
