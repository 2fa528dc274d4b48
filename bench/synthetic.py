"""Holders that exist for measuring only: each has a name, a certificate and a database, all are in one process."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceStub
from igstats_dev.layout import OPERATOR, Layout
from igstats_dev.stack import Stack
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.config import ServiceConfig, read_secret
from igstats_kit.events import Bus
from igstats_kit.holder import HolderRunner
from igstats_kit.migrate import upgrade
from igstats_kit.outbox import Relay
from igstats_kit.permissions import RIGHTS, Rights, users
from igstats_kit.receipt import Signer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects
from igstats_kit.testing import toy
from igstats_kit.testing.certificates import Certificate
from igstats_kit.testing.databases import versions
from igstats_kit.testing.nats import Nats
from igstats_kit.tokens import Tokens
from sqlalchemy import func, insert, select

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

NOTES = 2
ROWS = 1 + NOTES
"""Rows of one person at one holder."""
_CONNECTIONS = 2


class _Config(ServiceConfig):
    """What a holder needs in order to call privacy."""

    service = "synthetic"


def nats(layout: Layout, names: list[str]) -> Nats:
    """A message server of the stack that knows these holders as well."""
    rights = {
        **RIGHTS,
        **{name: Rights(consumes={("TASKS", f"{name}-tasks"): f"igstats.privacy.v1.task.{name}"}) for name in names},
    }
    return Nats(
        layout.folder / "nats",
        port=layout.ports["nats"],
        monitor_port=layout.ports["nats-monitor"],
        authority=layout.authority.certificate,
        certificate=layout.certificates["nats"],
        users=users(rights, operator=OPERATOR),
    )


class Synthetic:
    """Holders at work, one after the other added."""

    def __init__(self, stack: Stack, everybody: list[str]) -> None:
        self._stack = stack
        self._everybody = everybody
        self._open = AsyncExitStack()
        self._databases: list[Database] = []
        self._workers: list[asyncio.Task[None]] = []
        self._tokens = Tokens(read_secret(stack.layout.secrets.path("suppression.key")))

    def __len__(self) -> int:
        return len(self._databases)

    async def add(self, name: str) -> None:
        """Makes a holder with everybody's data and lets it work."""
        layout, clock = self._stack.layout, SystemClock()
        certificate = layout.authority.issue(name)
        database = await self._database(name)
        bus = await Bus.connect(self._stack.nats.url, name, self._stack.nats.context(certificate))
        self._open.push_async_callback(bus.close)
        channels = Channels(self._config(name, certificate))
        self._open.push_async_callback(channels.close)
        channel = channels.to("privacy", layout.address("privacy-rpc"))
        stub = cast("HolderTasksServiceAsyncStub", HolderTasksServiceStub(channel))
        signer = Signer(read_secret(layout.secrets.path(f"{name}-receipt.pem")))
        subjects = Subjects(toy.DECLARATIONS, toy.SEALER)
        relay = Relay(database, bus, clock)
        runner = HolderRunner(name, subjects, database, bus, stub, signer, clock)
        await runner.register()
        self._workers += [asyncio.create_task(worker()) for worker in (relay.run, runner.consumer().run)]

    async def rows(self) -> int:
        """Rows of persons that are left, over all of them."""
        total = 0
        for database in self._databases:
            async with database.read() as connection:
                for table in (toy.people, toy.notes):
                    total += await connection.scalar(select(func.count()).select_from(table)) or 0
        return total

    async def close(self) -> None:
        """Ends the workers and closes every connection."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._open.aclose()

    def _config(self, name: str, certificate: Certificate) -> ServiceConfig:
        layout, secrets = self._stack.layout, self._stack.layout.secrets
        return _Config.load(
            nats_url=self._stack.nats.url,
            tls_ca=layout.authority.certificate,
            suppression_key=secrets.path("suppression.key"),
            database_url=self._stack.postgres.url(name, "", name),
            listen="127.0.0.1:0",
            tls_cert=certificate.certificate,
            tls_key=certificate.key,
            receipt_key=secrets.path(f"{name}-receipt.pem"),
            seal_key=secrets.path(f"{name}-seal.key"),
        )

    async def _database(self, name: str) -> Database:
        user, password = name.replace("-", "_"), self._stack.layout.secrets.password(name)
        await self._stack.postgres.ensure_role(user, password)
        await self._stack.postgres.ensure_database(user, user)
        url = self._stack.postgres.url(user, password, user)
        await upgrade(url, versions("kit"))
        database = Database(url, pool_size=_CONNECTIONS)
        self._open.push_async_callback(database.close)
        self._databases.append(database)
        made = datetime.now(UTC)
        async with database.transaction() as connection:
            await connection.run_sync(toy.METADATA.create_all)
            people = [{"email": email, "subject_token": self._tokens.of("EMAIL", email)} for email in self._everybody]
            keys = await connection.execute(insert(toy.people).returning(toy.people.c.person_id), people)
            notes = [{"person_id": key, "body": "note", "created_at": made} for (key,) in keys for _ in range(NOTES)]
            await connection.execute(insert(toy.notes), notes)
        return database
