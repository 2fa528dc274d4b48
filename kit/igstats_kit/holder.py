"""The holder runner: leases tasks, does them in one local transaction, and answers with signed receipts.

Effect, tombstone, receipt, inbox and outbox commit together; only then the offer is acknowledged. A replay finds the
stored receipt and sends the same bytes again, so that every delivery ends in the same answer.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from igstats.event.v1.events_pb2 import ReceiptsIssued, TasksOffered
from igstats.holder.v1.holder_tasks_service_pb2 import LeaseTasksRequest, RegisterHolderRequest
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, SignedReceipt
from igstats.holder.v1.task_pb2 import Phase, Task
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus, Consumer, Event, Subscription, take_inbox
from igstats_kit.export import export
from igstats_kit.log import get_logger
from igstats_kit.outbox import enqueue
from igstats_kit.phases import Phases
from igstats_kit.receipt import Signer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_LEASE_LIMIT = 512
_GIVE_UP_ATTEMPTS = 6
_STORE = text(
    "INSERT INTO task_receipts (task_id, request_id, phase, receipt, signature, key_id) SELECT * FROM unnest("
    "CAST(:task_ids AS text[]), CAST(:request_ids AS text[]), CAST(:phases AS int[]), CAST(:receipts AS bytea[]),"
    " CAST(:signatures AS bytea[]), CAST(:key_ids AS text[]))"
)

_KNOWN = text("SELECT * FROM task_receipts WHERE task_id = ANY(CAST(:task_ids AS text[]))")

_log = get_logger()


class HolderRunner:
    """Makes one service a holder. `holder` is the service's name and its certificate's."""

    def __init__(
        self,
        holder: str,
        subjects: Subjects,
        database: Database,
        bus: Bus,
        stub: "HolderTasksServiceAsyncStub",
        signer: Signer,
        clock: Clock,
    ) -> None:
        self._holder = holder
        self._subjects = subjects
        self._database = database
        self._bus = bus
        self._stub = stub
        self._signer = signer
        self._phases = Phases(holder, subjects, clock)

    @property
    def durable(self) -> str:
        """Name of the task consumer."""
        return f"{self._holder}-tasks"

    async def register(self) -> None:
        """Announces the holder, its stores and its key to privacy.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE while privacy does not answer.
            ValueError: a table or column is not declared.
        """
        problems = self._subjects.declarations.problems()
        if problems:
            raise ValueError("; ".join(problems))
        request = RegisterHolderRequest(description=self._phases.description, public_key=self._signer.public_key)
        await self._stub.RegisterHolder(request)

    def consumer(self) -> Consumer:
        """The worker that takes task offers."""
        subscription = Subscription("TASKS", self.durable, f"igstats.privacy.v1.task.{self._holder}")
        return Consumer(self._bus, self._database, subscription, self.handle)

    async def handle(self, events: Sequence[Event]) -> None:
        """Does the offered tasks. Raises when some could not be done; those done stay done."""
        offered = [task_id for event in events for task_id in TasksOffered.FromString(event.data).task_ids]
        tasks = await self._lease(list(dict.fromkeys(offered)))
        streamed = [task for task in tasks if task.phase == Phase.PHASE_EXPORT]
        for task in streamed:
            await self._settle([task], [])
        at_once = [task for task in tasks if task.phase != Phase.PHASE_EXPORT]
        try:
            await self._settle_by_phase(at_once, events)
        except DomainError as error:
            if error.reason is Reason.DEPENDENCY_UNAVAILABLE:
                raise
            await self._settle_singly(at_once)
        except Exception:  # noqa: BLE001 - one task that cannot be done must not hold up the others
            await self._settle_singly(at_once)

    async def _lease(self, task_ids: Sequence[str]) -> list[Task]:
        tasks: list[Task] = []
        for start in range(0, len(task_ids), _LEASE_LIMIT):
            chunk = task_ids[start : start + _LEASE_LIMIT]
            answer = await self._stub.LeaseTasks(LeaseTasksRequest(holder=self._holder, task_ids=chunk))
            tasks += answer.tasks
        return tasks

    async def _settle_by_phase(self, tasks: Sequence[Task], events: Sequence[Event]) -> None:
        """One transaction a phase: each locks its subjects once and in order, so that no two can block each other."""
        phases = sorted({task.phase for task in tasks})
        for phase in phases[:-1]:
            await self._settle([task for task in tasks if task.phase == phase], [])
        last = [task for task in tasks if not phases or task.phase == phases[-1]]
        await self._settle(last, events)  # with the inbox: by then everything offered is done

    async def _settle_singly(self, tasks: Sequence[Task]) -> None:
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
        if failure is not None:
            raise failure

    async def _settle(self, tasks: Sequence[Task], events: Sequence[Event]) -> None:
        if not tasks and not events:
            return
        async with self._database.transaction() as connection:
            await take_inbox(connection, self.durable, events)
            known = await self._known(connection, tasks)
            fresh = [task for task in tasks if task.task_id not in known]
            made = await self._run(connection, fresh)
            await self._answer(connection, made, list(known.values()))

    async def _run(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        if tasks and tasks[0].phase == Phase.PHASE_EXPORT:
            return [await self._export(connection, task) for task in tasks]
        return await self._phases.run(connection, tasks)

    async def _export(self, connection: AsyncConnection, task: Task) -> Receipt:
        result = await export(connection, self._subjects, self._stub, task)
        return self._phases.receipt(task, Outcome.OUTCOME_EXPORTED, result)

    async def _known(self, connection: AsyncConnection, tasks: Sequence[Task]) -> dict[str, SignedReceipt]:
        repeated = [task.task_id for task in tasks if task.attempt != 1]  # the first lease cannot have a receipt
        if not repeated:
            return {}
        return {
            row.task_id: SignedReceipt(receipt=row.receipt, signature=row.signature, key_id=row.key_id)
            for row in await connection.execute(_KNOWN, {"task_ids": repeated})
        }

    async def _answer(
        self, connection: AsyncConnection, made: Sequence[Receipt], known: Sequence[SignedReceipt]
    ) -> None:
        signed = [(receipt, self._signer.sign(receipt)) for receipt in made]
        # NEEDS_HUMAN is no last word: once a person has looked, the task is offered again and done anew.
        final = [pair for pair in signed if pair[0].outcome != Outcome.OUTCOME_NEEDS_HUMAN]
        if final:
            columns = {
                "task_ids": [receipt.task_id for receipt, _ in final],
                "request_ids": [receipt.request_id for receipt, _ in final],
                "phases": [int(receipt.phase) for receipt, _ in final],
                "receipts": [one.receipt for _, one in final],
                "signatures": [one.signature for _, one in final],
                "key_ids": [one.key_id for _, one in final],
            }
            await connection.execute(_STORE, columns)
        if signed or known:
            subject = f"igstats.{self._holder}.v1.receipt.issued"
            await enqueue(connection, subject, ReceiptsIssued(receipts=[*(one for _, one in signed), *known]))

    async def _give_up(self, task: Task, error: Exception) -> None:
        """Says that a person must look. The receipt is not stored: a later lease tries again."""
        explanation = f"this holder failed {task.attempt} times: {type(error).__name__}"
        receipt = self._phases.receipt(task, Outcome.OUTCOME_NEEDS_HUMAN, None, explanation)
        async with self._database.transaction() as connection:
            await self._answer(connection, [], [self._signer.sign(receipt)])
