"""The holder runner: leases tasks, does them in one local transaction, and answers with signed receipts.

Effect, tombstone, receipt, inbox and outbox commit together; only then the offer is acknowledged. A replay finds the
stored receipt and sends the same bytes again, so that every delivery ends in the same answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from igstats.event.v1.events_pb2 import ReceiptsIssued
from igstats.holder.v1.holder_tasks_service_pb2 import RegisterHolderRequest
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, SignedReceipt
from igstats.holder.v1.task_pb2 import Phase, Task
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.clock import Clock
from igstats_kit.declare import DeclarationError
from igstats_kit.errors import passes
from igstats_kit.events import Bus, Consumer, Event, Subscription
from igstats_kit.export import export
from igstats_kit.leases import Leases
from igstats_kit.log import get_logger
from igstats_kit.outbox import Posted, enqueue_all, post, post_binds, posting
from igstats_kit.phases import Phases
from igstats_kit.receipt import Signer
from igstats_kit.sql import Database, Row, fetch
from igstats_kit.subjects import Subjects

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_GIVE_UP_ATTEMPTS = 6
_SEARCH_AFTER = timedelta(hours=1)
_EXPORTED_TOGETHER = 64
# What the events of a batch have handled before is found by its receipts, not by the inbox: the answer is given again.
_TAKE = text(
    "WITH taken AS (INSERT INTO inbox (consumer, event_id)"
    " SELECT CAST(:consumer AS text), id FROM unnest(CAST(:events AS text[])) AS id ON CONFLICT DO NOTHING)"
    " SELECT * FROM task_receipts WHERE task_id = ANY(CAST(:task_ids AS text[]))"
)
_ANSWER = text(
    f"WITH {posting()}, kept AS ("  # noqa: S608 - only our own constants are put in
    "INSERT INTO task_receipts (task_id, request_id, phase, receipt, signature, key_id, sequence)"
    " SELECT r.task_id, r.request_id, r.phase, r.receipt, r.signature, r.key_id, n.last - r.behind FROM unnest("
    "CAST(:task_ids AS text[]), CAST(:request_ids AS text[]), CAST(:phases AS int[]), CAST(:receipts AS bytea[]),"
    " CAST(:signatures AS bytea[]), CAST(:key_ids AS text[]), CAST(:behind AS bigint[]))"
    " AS r(task_id, request_id, phase, receipt, signature, key_id, behind) CROSS JOIN numbered n)"
    " SELECT event_id, sequence FROM posted"
)

_log = get_logger()


class HolderRunner:
    """Makes one service a holder. `holder` is the service's name and its certificate's.

    `backups` is how long backups of its database live: an erasure is not true everywhere before they are gone.
    """

    def __init__(
        self,
        holder: str,
        subjects: Subjects,
        database: Database,
        bus: Bus,
        stub: "HolderTasksServiceAsyncStub",
        signer: Signer,
        clock: Clock,
        search_after: timedelta = _SEARCH_AFTER,
        backups: timedelta = timedelta(),
    ) -> None:
        self._holder = holder
        self._subjects = subjects
        self._database = database
        self._bus = bus
        self._stub = stub
        self._leases = Leases(holder, stub, clock)
        self._subject = f"igstats.{holder}.v1.receipt.issued"
        self._signer = signer
        self._phases = Phases(holder, subjects, clock, search_after, backups)

    @property
    def durable(self) -> str:
        """Name of the task consumer."""
        return f"{self._holder}-tasks"

    async def register(self) -> None:
        """Announces the holder, its stores and its key to privacy.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE while privacy does not answer.
            DeclarationError: a table or column is not declared.
        """
        problems = self._subjects.declarations.problems()
        if problems:
            raise DeclarationError("; ".join(problems))
        request = RegisterHolderRequest(description=self._phases.description, public_key=self._signer.public_key)
        await self._stub.RegisterHolder(request)

    def consumer(self) -> Consumer:
        """The worker that takes task offers."""
        subscription = Subscription("TASKS", self.durable, f"igstats.privacy.v1.task.{self._holder}")
        return Consumer(self._bus, self._database, subscription, self.handle)

    async def forget(self) -> NoReturn:
        """Forgets persons whose requests went on in another replica, until cancelled."""
        await self._leases.forget()

    async def handle(self, events: Sequence[Event]) -> None:
        """Does the offered tasks. Raises when some could not be done; those done stay done."""
        groups = _together(await self._leases.of(events)) or [[]]
        failure: Exception | None = None
        for group in groups:
            # The inbox comes with the last ones, when everything offered is done.
            handled = events if group is groups[-1] and failure is None else []
            failure = await self._settle_or_singly(group, handled) or failure
        if failure is not None:
            raise failure

    async def _settle_or_singly(self, tasks: Sequence[Task], events: Sequence[Event]) -> Exception | None:
        """Does tasks that go together; each by itself when one of them cannot be done and holds up the others."""
        try:
            await self._settle(tasks, events)
        except Exception as error:
            if passes(error):
                raise
            return await self._settle_singly(tasks)
        return None

    async def _settle_singly(self, tasks: Sequence[Task]) -> Exception | None:
        failure: Exception | None = None
        for task in tasks:
            try:
                await self._settle([task], [])
            except Exception as error:  # noqa: BLE001 - see handle
                _log.exception("task failed", task_id=task.task_id, attempt=task.attempt)
                failure = error
                if task.attempt >= _GIVE_UP_ATTEMPTS:
                    await self._give_up(task, error)
                    failure = None
        return failure

    async def _settle(self, tasks: Sequence[Task], events: Sequence[Event]) -> None:
        if not tasks and not events:
            return
        async with self._database.transaction() as connection:
            known = await self._take(connection, tasks, events)
            fresh = [task for task in tasks if task.task_id not in known]
            made = await self._run(connection, fresh)
            await self._answer(connection, made)
            await enqueue_all(connection, list(known.values()))

    async def _run(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        if tasks and tasks[0].phase == Phase.PHASE_EXPORT:
            results = await export(connection, self._subjects, self._stub, tasks)
            return [self._phases.receipt(task, Outcome.OUTCOME_EXPORTED, results[task.request_id]) for task in tasks]
        return await self._phases.run(connection, tasks)

    async def _take(
        self, connection: AsyncConnection, tasks: Sequence[Task], events: Sequence[Event]
    ) -> dict[str, Posted]:
        """Records the events as handled; answers what was stated before about tasks, to be stated again."""
        task_ids = [task.task_id for task in tasks]
        binds = {"consumer": self.durable, "events": [event.id for event in events], "task_ids": task_ids}
        return {row.task_id: self._again(row) for row in await fetch(connection, _TAKE, binds)}

    def _again(self, row: Row) -> Posted:
        signed = SignedReceipt(receipt=row.receipt, signature=row.signature, key_id=row.key_id)
        fact = Posted.of(self._subject, ReceiptsIssued(receipts=[signed]))
        return replace(fact, entries=0, sequence=row.sequence)  # it has its number in the log

    async def _answer(self, connection: AsyncConnection, made: Sequence[Receipt]) -> None:
        if not made:
            return
        signed = [self._signer.sign(receipt) for receipt in made]
        fact = Posted.of(self._subject, ReceiptsIssued(receipts=signed))
        # NEEDS_HUMAN is no last word: once a person has looked, the task is offered again and done anew.
        final = [place for place, receipt in enumerate(made) if receipt.outcome != Outcome.OUTCOME_NEEDS_HUMAN]
        columns = {
            "task_ids": [made[place].task_id for place in final],
            "request_ids": [made[place].request_id for place in final],
            "phases": [int(made[place].phase) for place in final],
            "receipts": [signed[place].receipt for place in final],
            "signatures": [signed[place].signature for place in final],
            "key_ids": [signed[place].key_id for place in final],
            "behind": [len(made) - 1 - place for place in final],
        }
        post(connection, [fact], await fetch(connection, _ANSWER, columns | post_binds([fact])))

    async def _give_up(self, task: Task, error: Exception) -> None:
        """Says that a person must look. The receipt is not stored: a later lease tries again."""
        explanation = f"this holder failed {task.attempt} times: {type(error).__name__}"
        receipt = self._phases.receipt(task, Outcome.OUTCOME_NEEDS_HUMAN, None, explanation)
        async with self._database.transaction() as connection:
            await self._answer(connection, [receipt])


def _together(tasks: Sequence[Task]) -> list[list[Task]]:
    """What one transaction does: a phase locks its subjects once and in order, so that no two can block each other.

    Exports last as long as there is something to read, so not all of them go together.
    """
    groups: list[list[Task]] = []
    for phase in sorted({task.phase for task in tasks}):
        some = [task for task in tasks if task.phase == phase]
        most = _EXPORTED_TOGETHER if phase == Phase.PHASE_EXPORT else len(some)
        groups += [some[start : start + most] for start in range(0, len(some), most)]
    return groups
