"""Receipts: which of them fit, and what they settle. A set per task, never a count: the first proof stays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.clock import Clock

from igstats_privacy import task_store
from igstats_privacy.clocks import erasure_effective
from igstats_privacy.fanout import Fanout
from igstats_privacy.lifecycle import after_receipt, provable
from igstats_privacy.model import Outcome, Phase, Receipt, Right, State, TaskKey, TaskState
from igstats_privacy.store import Connection
from igstats_privacy.task_store import Settlement


@dataclass(frozen=True)
class Refusal:
    """A receipt that was not accepted: who sent it, what did not fit, and which it was."""

    publisher: str
    check: str
    digest: str


@dataclass(frozen=True)
class Settled:
    """What a batch of receipts did."""

    request_ids: frozenset[str]
    refusals: tuple[Refusal, ...]


def objection(publisher: str, receipt: Receipt) -> str:
    """What speaks against a receipt whose signature is good, or "" when nothing does."""
    if receipt.task.holder != publisher:
        return "holder"
    if receipt.outcome not in provable(receipt.right, receipt.task.phase):
        return "outcome"
    if receipt.outcome is Outcome.AWAITING_PROCESSOR and receipt.effective_at is None:
        return "effective_time"
    return ""


class Receipts:
    """Settles tasks by verified receipts, a batch at a time, and opens the phases that this allows."""

    def __init__(self, fanout: Fanout, clock: Clock, backup_days: int) -> None:
        self._fanout = fanout
        self._clock = clock
        self._backup_days = backup_days

    async def settle(
        self, connection: Connection, known: Mapping[str, tuple[Right, State]], receipts: Sequence[Receipt]
    ) -> Settled:
        """Stores the receipts and settles their tasks; `known` are their requests, locked.

        Doubles and late repeats change nothing.
        """
        fitting = [receipt for receipt in receipts if _asked(receipt, known)]
        refusals = tuple(
            Refusal(receipt.task.holder, "task", receipt.digest.hex())
            for receipt in receipts
            if not _asked(receipt, known)
        )
        return Settled(frozenset(await self._settle(connection, fitting)), refusals)

    async def _settle(self, connection: Connection, receipts: Sequence[Receipt]) -> set[str]:
        if not receipts:
            return set()
        now = self._clock.now()
        settlements = [self._settlement(receipt, now) for receipt in _one_each(receipts)]
        if len(settlements) < len(receipts):
            await task_store.keep(connection, receipts, now)
        stands = await task_store.settle(connection, settlements, now)
        await self._fanout.settle(connection, stands)
        return set(stands)

    def _settlement(self, receipt: Receipt, now: datetime) -> Settlement:
        effective = receipt.effective_at
        if receipt.task.phase is Phase.ERASE:
            effective = erasure_effective(now, effective, self._backup_days)
        state = after_receipt(TaskState.LEASED, receipt.outcome)
        return Settlement(receipt, state, None if state is TaskState.BLOCKED else effective)


def _asked(receipt: Receipt, known: Mapping[str, tuple[Right, State]]) -> bool:
    found = known.get(receipt.task.request_id)
    return found is not None and found[0] is receipt.right


def _one_each(receipts: Iterable[Receipt]) -> list[Receipt]:
    """One receipt per task: proof beats NEEDS_HUMAN, whichever came first."""
    best: dict[TaskKey, Receipt] = {}
    for receipt in receipts:
        if receipt.task not in best or best[receipt.task].outcome is Outcome.NEEDS_HUMAN:
            best[receipt.task] = receipt
    return list(best.values())
