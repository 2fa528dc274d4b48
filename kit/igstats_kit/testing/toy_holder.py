"""The toy holder at work: a runner on a real database, its coordinator and the offers that it gets."""

from datetime import UTC, datetime, timedelta
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.event.v1.events_pb2 import ReceiptsIssued
from igstats.holder.v1.receipt_pb2 import Receipt
from sqlalchemy import Table, func, select

from igstats_kit.clock import SystemClock
from igstats_kit.events import Bus, Event
from igstats_kit.holder import HolderRunner
from igstats_kit.ledger import LedgerReplay
from igstats_kit.receipt import Signer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects
from igstats_kit.tables import outbox
from igstats_kit.testing import toy
from igstats_kit.testing.coordinator import Coordinator, offer
from igstats_kit.tokens import Tokens

BACKUPS = timedelta(days=7)


class ToyHolder:
    """Does what it is offered and remembers what it said. Needs no bus: facts stay in the outbox."""

    def __init__(self, database: Database, backups: timedelta = BACKUPS) -> None:
        self.database = database
        self.tokens = Tokens(b"t" * 32)
        self.coordinator = Coordinator(self.tokens)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.subjects = Subjects(toy.DECLARATIONS, toy.SEALER)
        stub, clock, bus = self.coordinator.stub, SystemClock(), cast("Bus", None)
        self.runner = HolderRunner("toy", self.subjects, database, bus, stub, Signer(pem), clock, backups=backups)
        self.replay = LedgerReplay("toy", self.subjects, database, stub, clock)
        self._offers = 0

    async def start(self) -> None:
        """Makes the tables and announces the holder."""
        async with self.database.transaction() as connection:
            await connection.run_sync(toy.METADATA.create_all)
        await self.runner.register()

    async def seed(self, number: int) -> None:
        """Writes a made-up person."""
        await toy.seed(self.database, self.tokens, toy.somebody(number))

    async def offer(self, *task_ids: str, attempts: int = 1) -> None:
        """Offers tasks in one message, which comes for the so manieth time."""
        self._offers += 1
        event = Event(f"e{self._offers}", "s", "t", datetime.now(UTC), offer("toy", task_ids), attempts)
        await self.runner.handle([event])

    async def receipts(self) -> list[Receipt]:
        """What it has said, in order."""
        async with self.database.read() as connection:
            rows = (
                await connection.execute(
                    select(outbox.c.data).where(outbox.c.subject.like("%.receipt.issued")).order_by(outbox.c.position)
                )
            ).scalars()
            issued = [ReceiptsIssued.FromString(bytes(data)) for data in rows]
        return [Receipt.FromString(signed.receipt) for one in issued for signed in one.receipts]

    async def count(self, table: Table) -> int:
        """Rows of a table."""
        async with self.database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(table)) or 0
