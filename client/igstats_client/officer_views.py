"""What officers see, as tables."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.message import Message
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats.privacy.v1.decision_service_pb2 import GetPreviewResponse, Hold, HolderPreview
from igstats.privacy.v1.record_service_pb2 import Alert, Breach, LedgerEntry, RightMetrics
from igstats.privacy.v1.request_pb2 import Holder, Regime, Request, RequestState, TaskState, TaskStatus, Wait
from rich.console import Console

NOTHING = "nothing"
_MISSED = 100


def table(header: Sequence[str], rows: Iterable[Sequence[str]], console: Console) -> None:
    """Prints rows under a header, each on one line however wide; says so when there are none."""
    found = [header, *rows]
    if len(found) == 1:
        console.print(NOTHING, markup=False)
        return
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    for row in found:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(line.rstrip(), markup=False)


def facts(pairs: Iterable[tuple[str, str]], console: Console) -> None:
    """Prints what is known, a line each; what is empty is left out."""
    for name, value in pairs:
        for number, line in enumerate(value.splitlines()):
            console.print(f"{'' if number else name:<12}  {line}", markup=False)


def requests(found: Iterable[Request], console: Console) -> None:
    """Requests, a line each."""
    header = ("request", "right", "state", "regime", "door", "received", "due", "needs")
    table(header, map(_request_cells, found), console)


def _request_cells(one: Request) -> tuple[str, ...]:
    words = (word(Right, "RIGHT", one.right), word(RequestState, "REQUEST_STATE", one.state))
    law = word(Regime, "REGIME", one.regime)
    return (one.request_id, *words, law, one.door, day(one, "received_time"), day(one, "due_time"), _needs(one))


def _needs(one: Request) -> str:
    """Why somebody must look at a request."""
    waiting = f"waits for {word(Wait, 'WAIT', one.wait)}" if one.wait else ""
    proof = "identity" if one.state == RequestState.REQUEST_STATE_IDENTITY_PENDING else ""
    found = ("OVERDUE" if one.overdue else "", "BLOCKED" if one.blocked else "", waiting, proof)
    return ", ".join(part for part in found if part)


def request(one: Request, console: Console) -> None:
    """A request with its tasks, and what to look at."""
    facts(_request_facts(one), console)
    if one.tasks:
        console.print()
        table(("holder", "phase", "state", "outcome", "tries", "rows"), map(_task_cells, one.tasks), console)
    for task in one.tasks:
        if task.explanation:
            place = f"{task.holder} {word(Phase, 'PHASE', task.phase)}"
            console.print(f"{place}: {task.explanation}", markup=False)


def _request_facts(one: Request) -> Iterator[tuple[str, str]]:
    yield "request", one.request_id
    yield "reference", one.reference
    yield "right", word(Right, "RIGHT", one.right)
    yield "state", word(RequestState, "REQUEST_STATE", one.state)
    yield "needs", _needs(one)
    yield "law", word(Regime, "REGIME", one.regime)
    yield "door", one.door
    yield "account", one.account_id
    yield "identity", one.identity_proof
    for name in ("received", "confirm_due", "due", "extended", "wait_until", "closed", "effective"):
        yield name.replace("_", " "), time(one, f"{name}_time")
    yield "why extended", one.extension_reasons
    yield "reason", one.reason
    yield "repeats", one.duplicate_of
    yield "continues", one.parent_id
    yield "opened", "by itself, for what that one waits for" if one.automatic else ""
    yield "status code", one.status_code


def _task_cells(one: TaskStatus) -> tuple[str, ...]:
    rows = ", ".join(f"{count.store} {count.count}" for count in one.counts)
    state, outcome = word(TaskState, "TASK_STATE", one.state), word(Outcome, "OUTCOME", one.outcome)
    return (one.holder, word(Phase, "PHASE", one.phase), state, outcome, str(one.attempts), rows)


def holders(found: Iterable[Holder], console: Console) -> None:
    """Holders, a line each."""
    rows = ((one.holder, "on" if one.enabled else "OFF", str(one.store_count), time(one, "seen_time")) for one in found)
    table(("holder", "switch", "stores", "seen"), rows, console)


def preview(one: GetPreviewResponse, console: Console) -> None:
    """What an erasure would touch, by holder."""
    ended = "all holders have answered" if one.complete else "holders are still answering: look again"
    facts([("preview", one.preview_id), ("would go", f"{one.row_count} rows"), ("answers", ended)], console)
    console.print()
    table(("holder", "goes", "stays"), map(_preview_cells, one.holders), console)


def _preview_cells(one: HolderPreview) -> tuple[str, ...]:
    goes = ", ".join(f"{count.store} {count.count}" for count in one.goes) or NOTHING
    stays = ", ".join(f"{kept.store} ({kept.ground}, until {day(kept, 'until_time')})" for kept in one.stays) or NOTHING
    return (one.holder, goes, stays) if one.answered else (one.holder, "no answer yet", "")


def holds(found: Iterable[Hold], console: Console) -> None:
    """Holds, a line each."""
    header = ("hold", "keeps", "ground", "until", "review", "placed by", "released", "resumed")
    table(header, map(_hold_cells, found), console)


def _hold_cells(one: Hold) -> tuple[str, ...]:
    keeps = "; ".join(f"{group.holder}: {', '.join(group.stores)}" for group in one.groups)
    dates = (day(one, "until_time"), day(one, "review_time"))
    ended = (day(one, "released_time"), ", ".join(one.resumed_request_ids))
    return (one.hold_id, keeps, one.ground, *dates, one.placed_by, *ended)


def ledger(found: Iterable[LedgerEntry], console: Console) -> None:
    """The request ledger, a line each."""
    header = ("request", "right", "door", "law", "received", "due", "answered", "answer", "ground", "clock", "person")
    table(header, map(_ledger_cells, found), console)


def _ledger_cells(one: LedgerEntry) -> tuple[str, ...]:
    dates = (day(one, "received_time"), day(one, "due_time"), day(one, "answered_time"))
    ended = (one.answer.lower() or "open", one.ground, "MISSED" if one.missed else "", one.subject_token[:12])
    return (one.request_id, one.right.lower(), one.door, one.regime, *dates, *ended)


def metrics(found: Iterable[RightMetrics], console: Console) -> None:
    """Numbers, a line for each right."""
    header = ("right", "received", "met", "in part", "refused", "open", "missed", "median days")
    table(header, map(_metrics_cells, found), console)


def _metrics_cells(one: RightMetrics) -> tuple[str, ...]:
    counts = (one.received, one.met, one.met_in_part, one.refused, one.open, one.missed)
    return (one.right.lower(), *map(str, counts), f"{one.median_days:.1f}")


def alerts(found: Iterable[Alert], console: Console) -> None:
    """Clocks that run out, a line each."""
    rows = (
        (
            "MISSED" if one.percent >= _MISSED else f"{one.percent} %",
            one.clock,
            time(one, "due_time"),
            one.request_id or one.breach_id,
        )
        for one in found
    )
    table(("over", "clock", "due", "of"), rows, console)


def breaches(found: Iterable[Breach], console: Console) -> None:
    """Breaches with their stories."""
    shown = list(found)
    if not shown:
        console.print(NOTHING, markup=False)
    for number, one in enumerate(shown):
        if number:
            console.print()
        breach(one, console)


def breach(one: Breach, console: Console) -> None:
    """A breach with its story."""
    told = time(one, "authority_told_time") or ("" if one.HasField("closed_time") else "NOT YET")
    pairs = [
        ("breach", one.breach_id),
        ("discovered", time(one, "discovered_time")),
        ("authority by", time(one, "authority_due_time") + (", MISSED" if one.missed else "")),
        ("told", told),
        ("closed", time(one, "closed_time")),
        ("data", ", ".join(one.categories)),
        ("persons", f"about {one.person_count}"),
        ("consequences", one.consequences),
    ]
    facts(pairs, console)
    for event in one.events:
        written = f"{time(event, 'written_time')}  {event.officer}  {event.kind}: {event.text}"
        console.print(f"  {written}", markup=False)


def word(enum: Any, prefix: str, value: int) -> str:  # noqa: ANN401 - any enum of the protos
    """The name of an enum's value as people read it; empty for none."""
    return name(enum, prefix, value).lower().replace("_", " ") if value else ""


def name(enum: Any, prefix: str, value: int) -> str:  # noqa: ANN401 - any enum of the protos
    """The name of an enum's value; the number of one that this release does not know."""
    return str(enum.Name(value)).removeprefix(f"{prefix}_") if value in enum.values() else str(value)


def time(message: Message, field: str) -> str:
    """A time of a message; empty when it is not set."""
    return str(getattr(message, field).ToJsonString()) if message.HasField(field) else ""


def day(message: Message, field: str) -> str:
    """The day of a time; empty when it is not set."""
    return time(message, field)[:10]
