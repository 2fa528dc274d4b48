"""Answers of the API as tables."""

from collections.abc import Iterable, Iterator

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import Code
from igstats.api.v1.account_service_pb2 import ApiCall
from igstats.api.v1.profile_pb2 import Count, MissingReason, Profile
from igstats.api.v1.request_service_pb2 import PrivacyRequest, RequestKind, Step
from igstats.audit.v1.audit_service_pb2 import Call
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PHASES = ("FENCE", "ERASE", "EXPORT", "RESTRICT", "LIFT", "SWEEP", "ATTEST")


def as_json(message: Message, *, indent: int | None = 2) -> str:
    """A message as JSON with the names of the protos."""
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=indent
    )


def show_request(request: PrivacyRequest, console: Console) -> None:
    """Prints a request and how it stands at each holder."""
    _show_facts(console, _request_facts(request))
    phases = [phase for phase in _PHASES if any(step.phase == phase for step in request.steps)]
    if not phases:
        return
    table = Table("holder", *phases, box=None, pad_edge=False)
    for holder in sorted({step.holder for step in request.steps}):
        steps = {step.phase: step for step in request.steps if step.holder == holder}
        table.add_row(*map(escape, (holder, *(_cell(steps.get(phase)) for phase in phases))))
    console.print()
    console.print(table)


def _request_facts(request: PrivacyRequest) -> Iterator[tuple[str, str]]:
    yield "request", request.request_id
    yield "reference", request.reference
    yield "kind", RequestKind.Name(request.kind).removeprefix("REQUEST_KIND_").lower()
    yield "state", request.state
    for name in ("received_time", "due_time", "extended_time", "closed_time", "effective_time"):
        if request.HasField(name):
            yield name.removesuffix("_time"), time(getattr(request, name))
    yield "why extended", request.extension_reasons
    if request.blocked:
        yield "blocked", "a person must look at some step"
    if request.overdue:
        yield "overdue", "the due time has passed"


def changes(before: PrivacyRequest, after: PrivacyRequest) -> Iterator[str]:
    """What is new in a request, a line each."""
    known = {(step.holder, step.phase): step.state for step in before.steps}
    for step in after.steps:
        if step.state in {"SETTLED", "BLOCKED"} and known.get((step.holder, step.phase)) != step.state:
            rows = ", ".join(f"{store} {count}" for store, count in sorted(step.counts.items()))
            told = " ".join(part for part in (rows and f"({rows})", step.explanation) if part)
            yield f"{step.phase:<8} {step.holder:<10} {step.outcome or step.state} {told}".rstrip()
    if after.HasField("extended_time") and not before.HasField("extended_time"):
        yield f"{'extended':<8} until {time(after.due_time)} {after.extension_reasons}".rstrip()
    if after.state != before.state:
        yield f"{'state':<8} {after.state}"


def show_profile(profile: Profile, console: Console) -> None:
    """Prints a profile."""
    facts = [
        ("profile", str(profile.profile_id)),
        ("username", profile.username),
        ("name", profile.name),
        ("biography", profile.biography),
        ("website", profile.website),
        *((name, count(getattr(profile, name))) for name in ("followers", "follows", "media")),
        ("observed", time(profile.observed_time)),
    ]
    _show_facts(console, iter(facts))


def show_calls(calls: Iterable[ApiCall | Call], console: Console) -> None:
    """Prints calls, a line each, however wide: half an id helps nobody."""
    rows = [("time", "method", "by", "status", "ms", "address", "key", "call", "account"), *map(_call_cells, calls)]
    columns = list(zip(*rows, strict=True))
    if not any(columns[-1][1:]):
        columns.pop()
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(line.rstrip(), markup=False)


def _call_cells(call: ApiCall | Call) -> tuple[str, ...]:
    ended = call.reason or (Code.Name(call.status) if call.status in Code.values() else str(call.status))
    method = call.method.removeprefix("/igstats.api.v1.")
    took = f"{call.latency_us / 1000:.1f}"
    account = call.account_id if isinstance(call, Call) else ""
    cells = (time(call.called_time), method, call.protocol, ended, took, call.ip_address, call.key_id, call.call_id)
    return (*cells, account)


def count(value: Count) -> str:
    """A number, or why there is none."""
    if value.missing_reason:
        return MissingReason.Name(value.missing_reason).removeprefix("MISSING_REASON_").lower().replace("_", " ")
    return f"{value.value:,}"


def time(stamp: Timestamp) -> str:
    """A time as people and programs read it."""
    return stamp.ToJsonString()


def _cell(step: Step | None) -> str:
    return "-" if step is None else step.outcome or step.state.lower()


def _show_facts(console: Console, facts: Iterator[tuple[str, str]]) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        for number, line in enumerate(value.splitlines()):
            table.add_row("" if number else name, escape(line))
    console.print(table)
