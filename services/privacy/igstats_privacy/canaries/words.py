"""What the holders said about a canary, read from their receipts."""

from collections.abc import Iterable

from igstats.holder.v1.receipt_pb2 import Receipt

from igstats_privacy.canaries.rules import Word
from igstats_privacy.model import Phase, Task, TaskState


def words(tasks: Iterable[Task]) -> dict[str, Word]:
    """The last word of every holder that has settled, with the rows that its erasure counted."""
    settled = [task for task in tasks if task.state is TaskState.SETTLED and task.outcome is not None]
    rows = {task.holder: _rows(task.receipt) for task in settled if task.phase is Phase.ERASE}
    return {
        task.holder: Word(task.outcome, rows.get(task.holder, 0))
        for task in settled
        if task.phase is Phase.ATTEST and task.outcome is not None
    }


def _rows(receipt: bytes) -> int:
    return sum(one.count for one in Receipt.FromString(receipt).counts)
