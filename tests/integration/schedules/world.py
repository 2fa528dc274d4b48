"""Privacy's use cases and two holders with stores of their own, each on a real database, without network and processes.

What travels between them is on a wire that the driver of a schedule delivers as it likes.
"""

import asyncio
import secrets
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from igstats.event.v1.events_pb2 import ReceiptsIssued, TasksOffered
from igstats.holder.v1 import holder_tasks_service_pb2 as pb
from igstats.holder.v1.receipt_pb2 import SignedReceipt
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus, Event
from igstats_kit.holder import HolderRunner
from igstats_kit.ledger import LedgerReplay
from igstats_kit.subjects import Subjects
from igstats_kit.testing import toy
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.databases import Databases
from igstats_kit.testing.postgres import Postgres
from igstats_privacy import messages
from igstats_privacy.model import Identifier, Right
from sqlalchemy import func, select, text

from tests.integration.privacy.conftest import Office
from tests.integration.privacy.served import new_signer
from tests.integration.schedules.mortal import Killed, MortalDatabase

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

HOLDERS = ("east", "west")
_ISSUED = ReceiptsIssued.DESCRIPTOR.full_name
_TRAVELLING = (TasksOffered.DESCRIPTOR.full_name, _ISSUED)
_OUTBOX = text("SELECT event_id, subject, type, data, sequence FROM outbox ORDER BY position")
_STATES = text("SELECT state FROM requests WHERE request_id = ANY(:ids)")
_SENT = text("DELETE FROM outbox WHERE event_id = ANY(:ids)")


@dataclass
class Door:
    """HolderTasksService as a holder's stub, answered by the office at once."""

    office: Office

    async def RegisterHolder(self, request: pb.RegisterHolderRequest) -> pb.RegisterHolderResponse:
        await self.office.registry.register(*messages.announced(request, self.office.clock.now()))
        return pb.RegisterHolderResponse()

    async def LeaseTasks(self, request: pb.LeaseTasksRequest) -> pb.LeaseTasksResponse:
        leased = await self.office.leases.lease(request.holder, request.task_ids)
        return pb.LeaseTasksResponse(tasks=map(messages.task, leased))

    async def ListErasures(self, request: pb.ListErasuresRequest) -> pb.ListErasuresResponse:
        entries = await self.office.ledger.after(request.holder, request.after_sequence, request.page_size)
        return pb.ListErasuresResponse(erasures=[messages.erasure(entry, request.holder) for entry in entries])


class Process:
    """Somebody who stores something, can be killed, and comes back with nothing in memory."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = MortalDatabase(url)

    async def sent(self) -> list[Event]:
        """What its relay publishes now. The rows stay until `forget`, as when it dies in between."""
        async with self.database.read() as connection:
            rows = (await connection.execute(_OUTBOX)).all()
        now = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
        return [Event(row.event_id, row.subject, row.type, now, bytes(row.data), 1, row.sequence) for row in rows]

    async def forget(self, events: Sequence[Event]) -> None:
        """Removes what is published."""
        async with self.database.statement() as connection:
            await connection.execute(_SENT, {"ids": [event.id for event in events]})


class Holder(Process):
    """A holder with the toy's stores; its key outlives it."""

    def __init__(self, name: str, url: str, clock: FakeClock) -> None:
        super().__init__(url)
        self.name = name
        self.signer = new_signer()
        self._clock = clock
        self.ready = False

    def start(self, office: Office) -> None:
        """A new process: what was in memory is gone."""
        self._door = Door(office)
        stub = cast("HolderTasksServiceAsyncStub", self._door)
        subjects, bus = Subjects(toy.DECLARATIONS, toy.SEALER), cast("Bus", None)
        self.runner = HolderRunner(self.name, subjects, self.database, bus, stub, self.signer, self._clock)
        self.replay = LedgerReplay(self.name, subjects, self.database, stub, self._clock)
        self.ready = False

    def meet(self, office: Office) -> None:
        """From now on this process of privacy answers."""
        self._door.office = office

    async def get_ready(self) -> None:
        """What a holder does before it serves."""
        await self.runner.register()
        await self.replay.apply()
        self.ready = True

    async def rows_of(self, number: int) -> int:
        """Rows of a person."""
        email = toy.somebody(number).identifiers["EMAIL"]
        async with self.database.read() as connection:
            named = select(func.count()).select_from(toy.people).where(toy.people.c.email == email)
            noted = select(func.count()).select_from(toy.notes).where(toy.notes.c.body.endswith(f" {email}"))
            return (await connection.scalar(named) or 0) + (await connection.scalar(noted) or 0)


@dataclass
class World:
    """Everything of a schedule. Several schedules use one, each with persons of its own."""

    server: Postgres
    databases: Databases
    clock: FakeClock
    privacy: Process
    office: Office
    holders: dict[str, Holder]
    wire: list[Event] = field(default_factory=list)
    receipts: list[SignedReceipt] = field(default_factory=list)
    persons: int = 0

    @classmethod
    async def make(cls, server: Postgres, databases: Databases) -> "World":
        clock = FakeClock()
        privacy = Process(await databases.fresh("privacy"))
        office = Office(privacy.database, clock)
        holders = {name: Holder(name, await databases.fresh("kit"), clock) for name in HOLDERS}
        made = cls(server, databases, clock, privacy, office, holders)
        for holder in holders.values():
            async with holder.database.transaction() as connection:
                await connection.run_sync(toy.METADATA.create_all)
            holder.start(office)
            await holder.get_ready()
        return made

    async def close(self) -> None:
        for process in (self.privacy, *self.holders.values()):
            await process.database.close()
            await self.databases.drop(process.url)

    def restart_privacy(self) -> None:
        """A new process of privacy; holders keep talking to whoever answers."""
        profiles = self.office.profiles
        self.office = Office(self.privacy.database, self.clock)
        self.office.profiles = profiles
        for holder in self.holders.values():
            holder.meet(self.office)

    async def copy(self, holder: Holder) -> str:
        """A backup of a holder's database."""
        name = f"backup_{secrets.token_hex(6)}"
        await holder.database.close()
        await self.server.ensure_database(name, "igstats_kit", template=holder.url.rsplit("/", 1)[1])
        return name

    async def restore(self, holder: Holder, backup: str) -> None:
        """Puts the backup into the place of the holder's database; the holder is not ready until it has healed."""
        name = holder.url.rsplit("/", 1)[1]
        await holder.database.close()
        await self.server.drop_database(name)
        await self.server.rename_database(backup, name)
        holder.start(self.office)

    async def open(self, number: int, key: str) -> str:
        """Opens a deletion; who asks hears nothing when the process dies meanwhile."""
        named = Identifier("EMAIL", toy.somebody(number).identifiers["EMAIL"])
        opening = self.office.open(Right.ERASURE, named, key=key, proof="shown a passport")
        return await _unless_it_dies(opening, self.privacy.database)

    async def sync(self, holder: Holder, number: int) -> bool:
        """The source brings the person again; answers whether it was taken."""
        try:
            await toy.seed(holder.database, self.office.tokens, toy.somebody(number))
        except DomainError as error:
            if error.reason is not Reason.SUBJECT_ERASED:
                raise
            return False
        return True

    async def publish(self, process: Process, *, forgets: bool = True) -> None:
        """The relay of a process sends what is committed."""
        events = await process.sent()
        self.wire += [event for event in events if event.type in _TRAVELLING]
        if forgets and events:
            await process.forget(events)

    async def deliver(self, *events: Event) -> None:
        """Hands events to their consumers, to each in one batch."""
        for name, holder in self.holders.items():
            if offers := [event for event in events if event.subject == f"igstats.privacy.v1.task.{name}"]:
                await holder.runner.handle(offers)
        if issued := [event for event in events if event.type == _ISSUED]:
            await self.office.consumer.handle(issued)
            self.receipts += [one for event in issued for one in ReceiptsIssued.FromString(event.data).receipts]

    async def states(self, request_ids: Collection[str]) -> set[str]:
        """States of requests; one that nobody knows any more is LOST."""
        async with self.privacy.database.read() as connection:
            rows = (await connection.execute(_STATES, {"ids": list(request_ids)})).all()
        return {row.state for row in rows} | ({"LOST"} if len(rows) < len(request_ids) else set())

    async def tick(self, step: timedelta) -> None:
        """Time passes, and the reconciler looks."""
        self.clock.advance(step)
        await self.office.reconciler.sweep()


async def _unless_it_dies(answer: Coroutine[Any, Any, str], database: MortalDatabase) -> str:
    answering, dying = asyncio.ensure_future(answer), asyncio.ensure_future(database.died.wait())
    try:
        await asyncio.wait({answering, dying}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise Killed
        return answering.result()
    finally:
        answering.cancel()
        dying.cancel()
