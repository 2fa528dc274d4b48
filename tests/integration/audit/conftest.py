"""The evidence log on a real database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.model import NewEntry
from igstats_audit.note import NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer
from igstats_audit.store import EvidenceStore
from igstats_kit.sql import Database

MakeDatabase = Callable[[str], Awaitable[Database]]
MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Log:
    """One database and its log; as many writers as a test wants."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = EvidenceStore(database)
        self.proofs = Proofs(self.store)
        key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.signer = NoteSigner("igstats.test/evidence", pem)

    def sequencer(self) -> Sequencer:
        return Sequencer(self.store, self.proofs, self.signer)

    @contextlib.asynccontextmanager
    async def writer(self) -> AsyncIterator[Sequencer]:
        sequencer = self.sequencer()
        await sequencer.open()
        worker = asyncio.create_task(sequencer.run())
        try:
            yield sequencer
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker

    def entry(self, name: str, request_id: str = "", kind: str = "test.made", payload: bytes = b"p") -> NewEntry:
        return NewEntry(name, kind, request_id, "stats", payload, MOMENT)


@pytest.fixture
async def log(database: MakeDatabase) -> Log:
    return Log(await database("audit"))
