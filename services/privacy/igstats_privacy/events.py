"""Facts that privacy publishes, and the streams it owns. No personal value: ids, states, outcomes, digests."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.event.v1.events_pb2 import (
    HolderOutcome,
    RequestChanged,
    RequestClosed,
    RequestsChanged,
    RequestsClosed,
    TasksOffered,
)
from igstats_kit.declare import days, impersonal_store
from igstats_kit.events import Stream, Subscription

from igstats_privacy.model import Change, HolderWord, Phase, State, TaskKey

REQUEST_CHANGED = "igstats.privacy.v1.request.changed"
REQUEST_CLOSED = "igstats.privacy.v1.request.closed"
RECEIPT_ISSUED = "igstats.*.v1.receipt.issued"
RECEIPTS = Subscription("RECEIPTS", "privacy-receipts", RECEIPT_ISSUED)

VALUE_CORRECTED = "igstats.*.v1.value.corrected"
CORRECTIONS = Subscription("CORRECTIONS", "privacy-corrections", VALUE_CORRECTED)

KEPT_DAYS = 35
"""How long streams keep facts on their way."""
_HOLDING = frozenset({Phase.ERASE, Phase.SWEEP, Phase.ATTEST})
_LIMIT = 512

TASKS = Stream(
    "TASKS",
    ("igstats.privacy.v1.task.*",),
    timedelta(days=KEPT_DAYS),
    impersonal_store("ids of tasks that wait for holders", days(KEPT_DAYS)),
)
STREAMS = (
    TASKS,
    Stream(
        RECEIPTS.stream,
        (RECEIPT_ISSUED,),
        timedelta(days=KEPT_DAYS),
        impersonal_store("signed receipts: ids, counts, digests", days(KEPT_DAYS)),
    ),
    Stream(
        "REQUESTS",
        ("igstats.privacy.v1.request.*",),
        timedelta(days=KEPT_DAYS),
        impersonal_store("states of requests", days(KEPT_DAYS)),
    ),
    Stream(
        CORRECTIONS.stream,
        (VALUE_CORRECTED,),
        timedelta(days=KEPT_DAYS),
        impersonal_store("which fields were corrected: digests, for those who got the old values", days(KEPT_DAYS)),
    ),
)

Fact = tuple[str, Message]
"""A subject and its payload."""


def _at(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _state(state: State | None) -> str:
    return f"REQUEST_STATE_{state or 'UNSPECIFIED'}"


def publisher(subject: str) -> str:
    """The service that published on `subject`; NATS lets only X publish under the name of X."""
    return subject.split(".")[1]


def tasks_offered(keys: Collection[TaskKey], held: Collection[str] = ()) -> list[Fact]:
    """One message per holder and 512 tasks. From ERASE on they are to be leased anew for those in `held`."""
    by_holder: dict[str, list[str]] = {}
    for key in keys:
        by_holder.setdefault(key.holder, []).append(str(key))
    fresh = {str(key) for key in keys if key.phase in _HOLDING and key.request_id in held} if held else set()
    return [
        (f"igstats.privacy.v1.task.{holder}", _offer(holder, ids[start : start + _LIMIT], fresh))
        for holder, ids in by_holder.items()
        for start in range(0, len(ids), _LIMIT)
    ]


def _offer(holder: str, task_ids: Sequence[str], fresh: Collection[str]) -> TasksOffered:
    return TasksOffered(holder=holder, task_ids=task_ids, fresh_task_ids=[one for one in task_ids if one in fresh])


def requests_changed(changes: Sequence[Change], now: datetime) -> list[Fact]:
    """One message per 512 changes."""
    moment = _at(now)
    made = [
        RequestChanged(
            request_id=one.request_id, old_state=_state(one.old), new_state=_state(one.new), changed_time=moment
        )
        for one in changes
    ]
    return [
        (REQUEST_CHANGED, RequestsChanged(changes=made[start : start + _LIMIT]))
        for start in range(0, len(made), _LIMIT)
    ]


def requests_closed(
    closed: Mapping[str, State], words: Mapping[str, Sequence[HolderWord]], now: datetime
) -> list[Fact]:
    """One message per 512 requests that have ended, each with the last word of every registered holder."""
    moment = _at(now)
    made = [
        RequestClosed(
            request_id=request_id,
            state=_state(state),
            closed_time=moment,
            holders=map(_word, words.get(request_id, ())),
        )
        for request_id, state in closed.items()
    ]
    return [
        (REQUEST_CLOSED, RequestsClosed(closings=made[start : start + _LIMIT])) for start in range(0, len(made), _LIMIT)
    ]


def _word(word: HolderWord) -> HolderOutcome:
    return HolderOutcome(holder=word.holder, outcome=f"OUTCOME_{word.outcome}", receipt_digest=word.receipt_digest)
