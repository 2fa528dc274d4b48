"""The logs on a real database."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.config import AuditConfig
from igstats_audit.intake import CallIntake
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.logs import Logs, OneLog, both_logs, one_log, origin
from igstats_audit.model import CallRecord, Log, NewEntry
from igstats_audit.note import NoteSigner
from igstats_audit.sequencer import Sequencer
from igstats_kit.events import Event
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tail import Placed
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.nats import Nats
from igstats_kit.tokens import Tokens
from sqlalchemy import text

from tests.integration.audit.office import Office, as_service, gateway_at

MakeConfig = Callable[[str], Awaitable[AuditConfig]]
MakeDatabase = Callable[[str], Awaitable[Database]]
MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKENS = Tokens(b"s" * 32)
WAY = Sealer(b"w" * 32)
CLIENT = b'{"ip_address": "192.0.2.7", "user_agent": "curl/8"}'


def pem(key: Ed25519PrivateKey | MLDSA44PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_pem() -> bytes:
    return pem(Ed25519PrivateKey.generate())


@functools.cache
def signer(log: Log) -> NoteSigner:
    seed = bytes(range(32))
    keys = Ed25519PrivateKey.from_private_bytes(seed), MLDSA44PrivateKey.from_seed_bytes(seed)
    return NoteSigner(origin("igstats.test", log), pem(keys[0]), pem(keys[1]))


class World:
    """One database with both logs; as many writers as a test wants."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.clock = FakeClock(MOMENT)
        self.folder = folder
        self.keys = DataKeys(FileKeyStore(folder / "keys"), DataKeyTable(database), self.clock)
        self.logs = self.open()
        self._positions = 0

    @property
    def evidence(self) -> OneLog:
        return self.logs.evidence

    @property
    def access(self) -> OneLog:
        return self.logs.access

    def open(self, name: str = "tiles") -> Logs:
        """Both logs as another process sees them."""
        single = {
            log: one_log(log, self.database, self.keys, signer(log), self.clock, self.folder / name) for log in Log
        }
        return both_logs(self.database, single[Log.EVIDENCE], single[Log.ACCESS], self.clock)

    @contextlib.asynccontextmanager
    async def writing(self, logs: Logs | None = None) -> AsyncIterator[Logs]:
        """Both logs with their writers at work."""
        logs = logs or self.logs
        await self.keys.ready()
        async with contextlib.AsyncExitStack() as stack:
            for one in (logs.evidence, logs.access):
                await stack.enter_async_context(running(one.sequencer))
            yield logs

    def intake(self, logs: Logs | None = None) -> CallIntake:
        log = (logs or self.logs).access
        return CallIntake(log.sequencer, log.store, TOKENS, WAY, _calls_of)

    async def call(self, *calls: CallRecord, logs: Logs | None = None) -> None:
        """Hands over calls as one event after the last one."""
        last = await (logs or self.logs).access.store.head()
        await self.intake(logs).handle([placed(last.stream_sequence + 1, *calls)])

    async def ask(self, query: str) -> list[Any]:
        async with self.database.read() as connection:
            return list((await connection.execute(text(query))).all())

    async def tell(self, command: str) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(text(command))


class EvidenceLog:
    """The evidence log alone; as many writers as a test wants."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database = world.database
        self.store = world.evidence.store
        self.proofs = world.evidence.proofs
        self.signer = world.evidence.signer
        self.cosigned = world.evidence.cosigned(world.folder)

    def sequencer(self) -> Sequencer:
        return self.world.open().evidence.sequencer

    @contextlib.asynccontextmanager
    async def writer(self) -> AsyncIterator[Sequencer]:
        async with self.world.writing(self.world.open()) as logs:
            yield logs.evidence.sequencer

    def entry(self, name: str, request_id: str = "", kind: str = "test.made", payload: bytes = b"p") -> NewEntry:
        return entry(name, request_id, kind, payload)


@contextlib.asynccontextmanager
async def running(sequencer: Sequencer) -> AsyncIterator[Sequencer]:
    await sequencer.open()
    worker = asyncio.create_task(sequencer.run())
    try:
        yield sequencer
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


def placed(position: int, *calls: CallRecord) -> Placed:
    """An event whose data are the calls themselves."""
    data: Any = calls
    return Placed(position, Event(f"evt_{position}", "s", "t", MOMENT, data))


def _calls_of(event: Event) -> Sequence[CallRecord]:
    data: Any = event.data
    return list(data)


def entry(name: str, request_id: str = "", kind: str = "test.made", payload: bytes = b"p") -> NewEntry:
    return NewEntry(name, kind, request_id, "stats", payload, MOMENT)


def call(name: str, account_id: str = "acc_1", called_at: datetime = MOMENT, sequence: int = 0) -> CallRecord:
    sealed = WAY.seal(CLIENT, "access")
    return CallRecord(name, account_id, "key_1", "/a.B/C", "grpc", 0, "", called_at, 1500, sealed, sequence=sequence)


@pytest.fixture
async def world(database: MakeDatabase, tmp_path: Path) -> World:
    return World(await database("audit"), tmp_path)


@pytest.fixture
def log(world: World) -> EvidenceLog:
    return EvidenceLog(world)


@pytest.fixture
async def office(
    config: MakeConfig, certificates: Authority, world: World, nats: Nats, tmp_path: Path
) -> AsyncIterator[Office]:
    own = await config("audit")
    async with gateway_at(as_service(own, certificates, "gateway")) as address:
        given = {"gateway_address": address, "nats_config": nats.config_file, "nats_operator": "operator"}
        made = Office(own, certificates, world, {"key_directory": tmp_path / "keys"} | given)
        yield made
        await made.close()
