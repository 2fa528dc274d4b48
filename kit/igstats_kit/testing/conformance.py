"""The holder conformance suite: what any service that holds data about persons must do, checked from outside.

It looks at what a holder leaves behind, not at what it says: every row of every table and every message of every stream
is searched for the values of a made-up person. `tests/contract/test_holders.py` runs it for each service.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from igstats.event.v1.events_pb2 import ReceiptsIssued
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt
from igstats.holder.v1.task_pb2 import Right
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.clock import SystemClock
from igstats_kit.declare import Declarations, impersonal_store
from igstats_kit.errors import DomainError
from igstats_kit.events import Bus, Event, Stream
from igstats_kit.holder import HolderRunner
from igstats_kit.outbox import Relay
from igstats_kit.sql import Database
from igstats_kit.tables import outbox, task_receipts
from igstats_kit.testing.coordinator import ERASURE, Coordinator, Person, offer

_COLUMNS = text(
    "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN pg_class r ON r.relname = c.table_name"
    " WHERE c.table_schema = 'public' AND c.table_name <> 'alembic_version' AND NOT r.relispartition"
)
_NOWHERE = "postgresql+asyncpg://nobody:none@127.0.0.1:1/none"
_SETTLE_SECONDS = 20.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Candidate:
    """A holder under test. `seed` writes a person through the service's own ingress, where fences are checked."""

    holder: str
    declarations: Declarations
    database: Database
    build: Callable[[Database], HolderRunner]
    seed: Callable[[Person], Awaitable[None]]
    person: Callable[[int], Person]


class Failure(NamedTuple):
    """A rule that the holder breaks, and how."""

    rule: str
    message: str


class _FailingOnce(Database):
    """Loses the first transaction that has written a task's receipt, as a crash between effect and commit would."""

    def __init__(self, inner: Database, task_id: str) -> None:
        self._inner = inner
        self._written = select(task_receipts.c.task_id).where(task_receipts.c.task_id == task_id)
        self.after_commit = []
        self.failed = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.transaction() as connection:
            yield connection
            if not self.failed and await connection.scalar(self._written):
                self.failed = True
                raise ConnectionResetError("the commit was lost on purpose")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.read() as connection:
            yield connection


class Conformance:
    """Runs the rules against one candidate. `operator` is a NATS client that may do anything."""

    def __init__(self, candidate: Candidate, coordinator: Coordinator, bus: Bus, operator: Client) -> None:
        self._candidate = candidate
        self._coordinator = coordinator
        self._bus = bus
        self._operator = operator
        self._requests = 0

    async def check(self) -> list[Failure]:
        """Runs every rule; answers the broken ones, each with what was seen."""
        rules = (
            self.declares_every_column,
            self.erases_every_store,
            self.refuses_the_erased,
            self.answers_a_replay_with_the_same_receipt,
            self.acknowledges_after_the_commit,
            self.admits_that_its_store_is_down,
            self.leaves_no_copy_in_a_stream,
        )
        failures: list[Failure] = []
        for rule in rules:
            failures += [Failure(rule.__name__, message) for message in await rule()]
        return failures

    async def declares_every_column(self) -> list[str]:
        """Each column of the database is declared, and the declarations fit together."""
        declared = {(t.name, c.name) for t in self._candidate.declarations.tables.values() for c in t.columns}
        async with self._candidate.database.read() as connection:
            found = {(row[0], row[1]) for row in await connection.execute(_COLUMNS)}
        strays = [f"column {table}.{column} is in the database but not declared" for table, column in found - declared]
        return sorted(strays) + self._candidate.declarations.problems()

    async def erases_every_store(self) -> list[str]:
        """After the phases nothing of the person is left, and everything of the neighbour is."""
        person, neighbour = self._candidate.person(1), self._candidate.person(2)
        await self._candidate.seed(person)
        await self._candidate.seed(neighbour)
        receipts = await self._erase(person)
        left = await self._dump()
        failures = [f"{place} still holds a value of the erased person" for place in _places(left, person)]
        if not _places(left, neighbour):
            failures.append("the neighbour's data is gone too")
        last = max(receipts, key=lambda receipt: receipt.phase, default=Receipt())
        if last.outcome not in {Outcome.OUTCOME_ERASED, Outcome.OUTCOME_RETAINED}:
            failures.append(f"the last receipt says {Outcome.Name(last.outcome)}, expected ERASED")
        return failures

    async def refuses_the_erased(self) -> list[str]:
        """Data about an erased person that comes late is refused."""
        person = self._candidate.person(3)
        await self._candidate.seed(person)
        await self._erase(person)
        with suppress(DomainError):
            await self._candidate.seed(person)
        return [f"{place} took a person back who was erased" for place in _places(await self._dump(), person)]

    async def answers_a_replay_with_the_same_receipt(self) -> list[str]:
        """A task delivered twice ends in the same bytes."""
        person = self._candidate.person(4)
        await self._candidate.seed(person)
        runner = await self._runner()
        tasks = self._plan(person)
        await self._handle(runner, tasks[:1])
        first = await self._issued()
        await self._handle(runner, tasks[:1])
        second = await self._issued()
        return [] if second[-1:] == first[-1:] else ["a repeated task was answered with another receipt"]

    async def acknowledges_after_the_commit(self) -> list[str]:
        """A task whose commit was lost comes back and is settled."""
        person = self._candidate.person(5)
        await self._ensure_streams()
        tasks = self._plan(person)
        runner = self._candidate.build(_FailingOnce(self._candidate.database, tasks[0]))
        consumer = asyncio.create_task(runner.consumer().run())
        try:
            subject = f"igstats.privacy.v1.task.{self._candidate.holder}"
            headers = {"ce-id": tasks[0], "Nats-Msg-Id": tasks[0]}
            await self._operator.jetstream().publish(subject, offer(self._candidate.holder, tasks[:1]), headers=headers)
            settled = await self._settled(tasks[0], runner)
        finally:
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)
        return [] if settled else ["the offer was acknowledged before the commit: a lost commit lost the task"]

    async def _settled(self, task_id: str, runner: HolderRunner) -> bool:
        """Waits until the task has a receipt, or until nothing is left that could bring one."""
        deadline = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if task_id in {receipt.task_id for receipt in await self._receipts()}:
                return True
            with suppress(NotFoundError):
                info = await self._operator.jetstream().consumer_info("TASKS", runner.durable)
                if info.ack_floor is not None and info.ack_floor.stream_seq and not info.num_ack_pending:
                    return task_id in {receipt.task_id for receipt in await self._receipts()}
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def admits_that_its_store_is_down(self) -> list[str]:
        """Without its database a holder says nothing, and above all no success."""
        await self._ensure_streams()
        nowhere = Database(_NOWHERE)
        runner = self._candidate.build(nowhere)
        tasks = self._plan(self._candidate.person(6))
        before = await self._stream_payloads()
        try:
            await self._handle(runner, tasks[:1])
        except Exception:  # noqa: BLE001 - how it fails is its own affair, as long as it does
            failures = []
        else:
            failures = ["handling a task without a database ended as if it had been done"]
        finally:
            await nowhere.close()
        if len(await self._stream_payloads()) != len(before):
            failures.append("a receipt was published although the store was down")
        return failures

    async def leaves_no_copy_in_a_stream(self) -> list[str]:
        """What the holder published about a person holds no value of theirs."""
        person = self._candidate.person(7)
        await self._ensure_streams()
        await self._candidate.seed(person)
        await self._erase(person)
        with suppress(DomainError):  # a stream of another owner may be missing: its events stay in the outbox
            await Relay(self._candidate.database, self._bus, SystemClock()).publish_batch()
        kept = await self._stream_payloads()
        places = {stream for stream, payload in kept if any(n.encode() in payload for n in person.needles)}
        return [f"stream {stream} still holds a value of the erased person" for stream in sorted(places)]

    async def _runner(self) -> HolderRunner:
        runner = self._candidate.build(self._candidate.database)
        await runner.register()
        return runner

    def _plan(self, person: Person) -> list[str]:
        self._requests += 1
        request_id = f"req_conformance_{self._requests}"
        return self._coordinator.plan(self._candidate.holder, request_id, person, ERASURE, Right.RIGHT_ERASURE)

    async def _erase(self, person: Person) -> list[Receipt]:
        runner, tasks = await self._runner(), self._plan(person)
        for task_id in tasks:
            await self._handle(runner, [task_id])
        return [receipt for receipt in await self._receipts() if receipt.task_id in tasks]

    async def _handle(self, runner: HolderRunner, task_ids: Sequence[str]) -> None:
        self._requests += 1
        subject = f"igstats.privacy.v1.task.{self._candidate.holder}"
        data = offer(self._candidate.holder, task_ids)
        event = Event(f"offer-{self._requests}", subject, "igstats.event.v1.TasksOffered", datetime.now(UTC), data)
        await runner.handle([event])

    async def _issued(self) -> list[bytes]:
        async with self._candidate.database.read() as connection:
            wanted = select(outbox.c.data).where(outbox.c.subject.like("%.receipt.issued")).order_by(outbox.c.position)
            return [bytes(data) for data in (await connection.execute(wanted)).scalars()]

    async def _receipts(self) -> list[Receipt]:
        issued = [ReceiptsIssued.FromString(data) for data in await self._issued()]
        return [Receipt.FromString(signed.receipt) for one in issued for signed in one.receipts]

    async def _dump(self) -> list[tuple[str, str]]:
        """Every row of every table as text: what is really there, whatever is declared."""
        async with self._candidate.database.read() as connection:
            names = sorted({row[0] for row in await connection.execute(_COLUMNS)})
            rows = []
            for name in names:
                found = await connection.execute(text(f'SELECT CAST(t AS text) FROM "{name}" AS t'))  # noqa: S608 - from the catalogue
                rows += [(name, row) for row in found.scalars()]
        return rows

    async def _ensure_streams(self) -> None:
        for name, subject in (("TASKS", "igstats.privacy.v1.task.*"), ("RECEIPTS", "igstats.*.v1.receipt.issued")):
            stream = Stream(name, (subject,), timedelta(days=1), impersonal_store("conformance"))
            await self._operator.jetstream().add_stream(stream.config())

    async def _stream_payloads(self) -> list[tuple[str, bytes]]:
        jetstream, found = self._operator.jetstream(), []
        for info in await jetstream.streams_info():
            name = info.config.name or ""
            for sequence in range(max(info.state.first_seq, 1), info.state.last_seq + 1):
                with suppress(NotFoundError):
                    message = await jetstream.get_msg(name, sequence)
                    found.append((name, message.data or b""))
        return found


def _places(dump: Sequence[tuple[str, str]], person: Person) -> list[str]:
    return sorted({f"table {name}" for name, row in dump if any(needle in row for needle in person.needles)})
