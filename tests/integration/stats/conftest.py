from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from igstats.event.v1.events_pb2 import ProfileChanged
from igstats_dev.instagram.people import People, Person
from igstats_dev.instagram.server import Emulator
from igstats_kit.pins import Pins
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.tables import outbox
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens
from igstats_stats.connections import Connections
from igstats_stats.events import PROFILE_CHANGED
from igstats_stats.graph import GraphClient
from igstats_stats.ingestion import Ingestion
from igstats_stats.instagram import InstagramClient
from igstats_stats.model import Connection
from igstats_stats.pages import PageTokens
from igstats_stats.profiles import Profiles
from igstats_stats.series import TimeSeries
from igstats_stats.store.connections import ConnectionStore
from igstats_stats.store.ingest import IngestStore
from igstats_stats.store.reads import ReadStore
from igstats_stats.syncing import SyncWorker
from igstats_stats.tables import DECLARATIONS, TABLES
from sqlalchemy import Table, func, select, text

ACCOUNT = "acc_01"
APP_ID = "1001"
NOW = datetime(2026, 7, 15, 18, 30, tzinfo=UTC)


async def _at_once(_delay: float, /) -> None:
    return


class World:
    """Stats without its servers: everything below the servicers, on a real database and an emulated Instagram."""

    def __init__(
        self, database: Database, emulator: Emulator, session: aiohttp.ClientSession, clock: FakeClock
    ) -> None:
        self.database = database
        self.emulator = emulator
        self.clock = clock
        self.tokens = Tokens(b"t" * 32)
        sealer = Sealer(b"s" * 32)
        graph = GraphClient(session, emulator.url, clock, version="v25.0", pause=_at_once)
        instagram = InstagramClient(graph, APP_ID)
        self.store, reads = ConnectionStore(database, self.tokens, sealer), ReadStore(database, self.tokens)
        ingestion = Ingestion(IngestStore(database, self.tokens, Pins(sealer), clock), clock)
        self.worker = SyncWorker(self.store, ingestion, instagram, clock, interval=timedelta(hours=6))
        pages = PageTokens(sealer)
        self.profiles = Profiles(reads, pages)
        self.series = TimeSeries(self.profiles, reads)
        self.connections = Connections(self.store, instagram, pages, clock)
        self.subjects = Subjects(DECLARATIONS, sealer)

    def person(self, number: int = 0) -> Person:
        """Somebody with enough followers for every metric."""
        return [person for person in self.emulator.people.all if person.base_followers > 1000][number]

    async def connect(self, person: Person, account_id: str = ACCOUNT) -> Connection:
        return await self.connections.create(account_id, person.access_token)

    async def connect_and_sync(self, person: Person) -> Connection:
        made = await self.connect(person)
        assert await self.worker.run_once()
        return await self.connections.get(ACCOUNT, made.connection_id)

    def case(self, person: Person, request_id: str = "req_1") -> Case:
        """As privacy leases it: by the id, which lasts; the handle is searched for."""
        tokens = (self.tokens.of("INSTAGRAM_USER_ID", person.user_id),)
        return Case(request_id, tokens, (person.user_id, person.username))

    def handle_case(self, username: str) -> Case:
        """Somebody of whom nothing but the handle is known."""
        return Case("req_1", (self.tokens.of("USERNAME", username),), (username,))

    def account_case(self, account_id: str) -> Case:
        return Case("req_1", (self.tokens.of("ACCOUNT_ID", account_id),), (account_id,))

    async def fence(self, person: Person) -> None:
        async with self.database.transaction() as connection:
            await self.subjects.fence(connection, [self.case(person)])

    async def erase(self, person: Person) -> dict[str, int]:
        """Fences and erases; returns what was erased by table."""
        await self.fence(person)
        async with self.database.transaction() as connection:
            results = await self.subjects.erase(connection, [self.case(person)])
        return dict(results["req_1"].counts)

    async def restrict(self, person: Person) -> None:
        async with self.database.transaction() as connection:
            await self.subjects.restrict(connection, [self.case(person)])

    async def lift(self, person: Person) -> None:
        async with self.database.transaction() as connection:
            await self.subjects.lift(connection, [self.case(person)])

    async def count(self, table: Table) -> int:
        async with self.database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(table)) or 0

    async def dump(self, *left_out: str) -> dict[str, list[str]]:
        """Every row of every table of ours as text, with the transaction that wrote it."""
        found = {}
        async with self.database.read() as connection:
            for table in TABLES:
                if table.name not in left_out:
                    query = f"SELECT CAST(t AS text) || ' ' || CAST(xmin AS text) FROM \"{table.name}\" AS t"  # noqa: S608 - our tables
                    found[table.name] = sorted((await connection.execute(text(query))).scalars())
        return found

    async def changes(self) -> dict[str, int]:
        """What ProfileChanged events in the outbox count, summed."""
        sums: dict[str, int] = {}
        async with self.database.read() as connection:
            rows = await connection.execute(select(outbox.c.data).where(outbox.c.subject == PROFILE_CHANGED))
            for data in rows.scalars():
                for kind, number in ProfileChanged.FromString(bytes(data)).counts.items():
                    sums[kind] = sums.get(kind, 0) + number
        return sums

    async def rows(self, table: Table) -> Sequence[Any]:
        async with self.database.read() as connection:
            return (await connection.execute(select(table))).all()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def emulator(clock: FakeClock) -> AsyncIterator[Emulator]:
    running = Emulator(People(24, seed=7), clock)
    async with running.listening():
        yield running


@pytest.fixture
async def world(
    database: Callable[[str], Awaitable[Database]], emulator: Emulator, clock: FakeClock
) -> AsyncIterator[World]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield World(await database("stats"), emulator, session, clock)
