"""What a holder does in each phase of a request, and the receipt it writes about it."""

import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from igstats.event.v1.events_pb2 import ValuesCorrected
from igstats.holder.v1.receipt_pb2 import Corrected, Outcome, Receipt, Retained, StoreCount
from igstats.holder.v1.task_pb2 import Phase, Right, Task
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.clock import Clock
from igstats_kit.corrections import Correction
from igstats_kit.describe import describe, digest
from igstats_kit.holds import holds_of, unknown
from igstats_kit.outbox import enqueue
from igstats_kit.subjects import Case, Kept, Result, Subjects

_WISHES = (Right.RIGHT_OBJECTION, Right.RIGHT_OPT_OUT)
# Phases whose outcome is no last word on a request: they prepare or check.
_PREPARING = frozenset({Phase.PHASE_FENCE, Phase.PHASE_SWEEP})


def case_of(task: Task) -> Case:
    """The request of a task as this holder's stores see it."""
    values = tuple(identifier.value for identifier in task.identifiers)
    return Case(task.request_id, tuple(task.tokens), values, holds_of(task.holds, task.holder))


class Phases:
    """Runs tasks of one phase inside the caller's transaction; every task gets a receipt."""

    def __init__(
        self, holder: str, subjects: Subjects, clock: Clock, search_after: timedelta, backups: timedelta
    ) -> None:
        self._search_after = search_after
        self._backups = backups
        self.description = describe(holder, subjects.declarations)
        self._holder = holder
        self._subjects = subjects
        self._clock = clock
        self._digest = digest(self.description)
        self._steps: Mapping[int, Callable[[AsyncConnection, Sequence[Task]], Awaitable[list[Receipt]]]] = {
            Phase.PHASE_FENCE: self._fence,
            Phase.PHASE_ERASE: self._erase,
            Phase.PHASE_SWEEP: self._sweep,
            Phase.PHASE_ATTEST: self._attest,
            Phase.PHASE_RESTRICT: self._restrict,
            Phase.PHASE_LIFT: self._lift,
            Phase.PHASE_CORRECT: self._correct,
            Phase.PHASE_OBJECT: self._object,
            Phase.PHASE_RESUME: self._resume,
            Phase.PHASE_PREVIEW: self._preview,
        }

    async def run(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        """Does the tasks, phase by phase."""
        by_phase: dict[int, list[Task]] = defaultdict(list)
        for task in tasks:
            by_phase[task.phase].append(task)
        receipts: list[Receipt] = []
        for phase in sorted(by_phase):
            receipts += await self._steps[phase](connection, by_phase[phase])
        return receipts

    def receipt(
        self, task: Task, outcome: Outcome.ValueType, result: Result | None = None, explanation: str = ""
    ) -> Receipt:
        """A receipt of this holder for `task`."""
        made = Receipt(
            task_id=task.task_id,
            request_id=task.request_id,
            holder=self._holder,
            right=task.right,
            phase=task.phase,
            outcome=outcome,
            description_digest=self._digest,
            explanation=explanation,
        )
        made.executed_time.FromDatetime(self._clock.now())
        if result is not None:
            made.counts.extend(StoreCount(store=name, count=result.counts[name]) for name in sorted(result.counts))
            made.retained.extend(map(_retained, result.kept))
        return made

    async def _fence(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        await self._subjects.fence(connection, list(map(case_of, tasks)))
        return [self.receipt(task, Outcome.OUTCOME_DONE) for task in tasks]

    async def _erase(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        """Erases. A hold on a store that is not here protects nothing: a person must say what was meant."""
        astray = {task.task_id: names for task in tasks if task.holds and (names := self._astray(task))}
        sound = [task for task in tasks if task.task_id not in astray]
        results = await self._subjects.erase(connection, list(map(case_of, sound)), replayed=True)
        receipts = [self._erased(task, results[task.request_id]) for task in sound]
        return receipts + [
            self._unclear(task, "a hold names", astray[task.task_id]) for task in tasks if task.task_id in astray
        ]

    def _erased(self, task: Task, result: Result) -> Receipt:
        """Also when nothing was found: a backup may hold what was deleted the day before."""
        made = self.receipt(task, _what_was_erased(result), result)
        made.effective_time.FromDatetime(self._clock.now() + self._backups)
        return made

    def _astray(self, task: Task) -> list[str]:
        return unknown(self._subjects.declarations, case_of(task).holds)

    def _unclear(self, task: Task, what: str, names: Sequence[str]) -> Receipt:
        explanation = f"{what} what this holder does not have or cannot do: {', '.join(names)}"
        return self.receipt(task, Outcome.OUTCOME_NEEDS_HUMAN, None, explanation)

    async def _preview(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        found = [(task, await self._subjects.preview(connection, case_of(task))) for task in tasks]
        return [self.receipt(task, Outcome.OUTCOME_DONE, result) for task, result in found]

    async def _correct(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        return [await self._corrected(connection, task) for task in tasks]

    async def _corrected(self, connection: AsyncConnection, task: Task) -> Receipt:
        corrections = [Correction(one.field, one.value) for one in task.corrections]
        if refused := self._subjects.uncorrectable(corrections):
            return self._unclear(task, "a correction names", refused)
        changes = await self._subjects.correct(connection, case_of(task), corrections)
        if not changes:
            return self.receipt(task, Outcome.OUTCOME_NOT_HELD)
        corrected = [
            Corrected(field=one.field, old_digest=one.old_digest, new_digest=one.new_digest) for one in changes
        ]
        fact = ValuesCorrected(request_id=task.request_id, holder=self._holder, corrected=corrected)
        await enqueue(connection, f"igstats.{self._holder}.v1.value.corrected", fact)
        receipt = self.receipt(task, Outcome.OUTCOME_CORRECTED)
        receipt.corrected.extend(corrected)
        return receipt

    async def _object(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        for right in sorted({task.right for task in tasks}):
            cases = [case_of(task) for task in tasks if task.right == right]
            await self._subjects.object_to(connection, cases, _word(right))
        return [self.receipt(task, Outcome.OUTCOME_OPTED_OUT) for task in tasks]

    async def _resume(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        for rights, some in _by_ended(tasks).items():
            await self._subjects.resume(connection, list(map(case_of, some)), rights)
        return [self.receipt(task, Outcome.OUTCOME_OPTED_IN) for task in tasks]

    async def _sweep(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        found = await self._subjects.sweep(connection, list(map(case_of, tasks)))
        return [self._swept(task, found[task.request_id]) for task in tasks]

    def _swept(self, task: Task, found: Result) -> Receipt:
        if not found.counts:
            return self.receipt(task, Outcome.OUTCOME_DONE)
        places = ", ".join(sorted(found.counts))
        return self.receipt(task, Outcome.OUTCOME_NEEDS_HUMAN, found, f"data of the person is still in: {places}")

    async def _restrict(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        await self._subjects.restrict(connection, list(map(case_of, tasks)))
        return [self.receipt(task, Outcome.OUTCOME_RESTRICTED) for task in tasks]

    async def _lift(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        await self._subjects.lift(connection, list(map(case_of, tasks)))
        return [self.receipt(task, Outcome.OUTCOME_LIFTED) for task in tasks]

    async def _attest(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Receipt]:
        earlier = await self._forget(connection, tasks)
        forgotten = [
            task for task in tasks if task.right == Right.RIGHT_ERASURE and _decisive(earlier[task.request_id]) is None
        ]
        anew = await self._act_again(connection, forgotten) if forgotten else {}
        return [anew.get(task.task_id) or self._attested(task, earlier[task.request_id]) for task in tasks]

    async def _forget(self, connection: AsyncConnection, tasks: Sequence[Task]) -> dict[str, list[bytes]]:
        now, requests = self._clock.now(), [task.request_id for task in tasks]
        return await self._subjects.forget(connection, requests, now, now + self._search_after)

    async def _act_again(self, connection: AsyncConnection, tasks: Sequence[Task]) -> dict[str, Receipt]:
        """Erases what a database restored meanwhile does not know to have erased: else the request could never end."""
        cases = list(map(case_of, tasks))
        await self._subjects.fence(connection, cases)
        receipts = {receipt.task_id: receipt for receipt in await self._erase(connection, tasks)}
        found = await self._subjects.sweep(connection, cases)
        await self._forget(connection, tasks)
        left = [task for task in tasks if found[task.request_id].counts]
        return receipts | {task.task_id: self._swept(task, found[task.request_id]) for task in left}

    def _attested(self, task: Task, earlier: Iterable[bytes]) -> Receipt:
        before = [(raw, Receipt.FromString(raw)) for raw in earlier]
        if task.right == Right.RIGHT_CATEGORIES:  # answered by the description, whose digest every receipt has
            return self.receipt(task, Outcome.OUTCOME_DONE)
        decisive = _decisive(raw for raw, _ in before)
        if decisive is None:
            return self.receipt(task, Outcome.OUTCOME_NEEDS_HUMAN, None, "this holder has no record of having acted")
        made = self.receipt(task, decisive.outcome)
        made.counts.extend(decisive.counts)
        made.retained.extend(decisive.retained)
        if decisive.HasField("effective_time"):  # where no backups are made, what is said now holds from now
            made.effective_time.FromDatetime(max(decisive.effective_time.ToDatetime(), made.executed_time.ToDatetime()))
        made.corrected.extend(decisive.corrected)
        made.earlier_digests.extend(hashlib.sha256(raw).digest() for raw, _ in before)
        return made


def _by_ended(tasks: Sequence[Task]) -> dict[tuple[str, ...], list[Task]]:
    """Tasks together by the wishes that they end."""
    found: dict[tuple[str, ...], list[Task]] = defaultdict(list)
    for task in tasks:
        found[tuple(_word(right) for right in sorted(task.ended_rights or _WISHES))].append(task)
    return found


def _word(right: Right.ValueType) -> str:
    return Right.Name(right).removeprefix("RIGHT_")


def _decisive(earlier: Iterable[bytes]) -> Receipt | None:
    """The receipt that says what was done."""
    return next((one for one in map(Receipt.FromString, earlier) if one.phase not in _PREPARING), None)


def _what_was_erased(result: Result) -> Outcome.ValueType:
    if result.kept:
        return Outcome.OUTCOME_RETAINED
    return Outcome.OUTCOME_ERASED if result.counts else Outcome.OUTCOME_NOT_HELD


def _retained(kept: Kept) -> Retained:
    made = Retained(store=kept.store, fields=kept.fields, ground=kept.ground, count=kept.count)
    made.until_time.FromDatetime(kept.until)
    return made
