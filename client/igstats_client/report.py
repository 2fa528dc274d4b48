"""A verdict for people and for programs: what it proves, and what it does not."""

import json
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from igstats_client.verdict import Statement, Verdict


def as_json(verdict: Verdict) -> str:
    """The verdict as one JSON object."""
    fields = {
        "verified": verdict.ok,
        "request_id": verdict.request_id,
        "state": verdict.state,
        "closed_time": _time(verdict.closed_time),
        "log": {
            "origin": verdict.origin,
            "tree_size": verdict.tree_size,
            "entries": verdict.entry_count,
            "signed_with": list(verdict.signed_with),
            "witnesses": [{"name": one.name, "time": _time(one.time)} for one in verdict.witnesses],
            "unknown_signers": list(verdict.unknown_signers),
        },
        "keys_pinned": verdict.keys_pinned,
        "holders": [_holder(one) for one in verdict.statements],
        "proves": list(proved(verdict)) if verdict.ok else [],
        "does_not_prove": list(not_proved(verdict)),
        "findings": [{"check": one.check, "where": one.where, "text": one.text} for one in verdict.findings],
    }
    return json.dumps(fields, indent=2)


def show(verdict: Verdict, console: Console) -> None:
    """Prints the verdict."""
    if not verdict.ok:
        console.print("[bold red]NOT VERIFIED[/]  what the file says is not proved:")
        for finding in verdict.findings:
            console.print(f"  {finding.check}  {escape(finding.where)}: {escape(finding.text)}")
        return
    console.print(f"[bold green]VERIFIED[/]  request {escape(verdict.request_id)}")
    console.print()
    console.print("This proves:")
    for line in proved(verdict):
        console.print(f"  - {escape(line)}")
    console.print()
    console.print("This does not prove:")
    for line in not_proved(verdict):
        console.print(f"  - {escape(line)}")
    if verdict.statements:
        console.print()
        console.print(_table(verdict.statements))


def proved(verdict: Verdict) -> Iterator[str]:
    """What a verdict without findings proves, in plain words."""
    count, size = verdict.entry_count, verdict.tree_size
    keys = " and ".join(verdict.signed_with)
    yield f"The log {verdict.origin} holds all {count} entries: it signed ({keys}) a tree of {size} that they are in."
    for one in verdict.witnesses:
        yield f"The witness {one.name} signed the same tree at {_time(one.time)}; it signs no second history of a log."
    yield "Every entry is, byte for byte, what the log committed to when it took it."
    if verdict.statements:
        names = ", ".join(one.holder for one in verdict.statements)
        yield f"Each receipt was signed by the holder it speaks for: {names}."
        yield "The closing lists every holder whose key is here; each has done every phase in order, and has attested."
    yield f"The request ended as {verdict.state} at {_time(verdict.closed_time)}."


def not_proved(verdict: Verdict) -> Iterator[str]:
    """What nobody should read into it."""
    if not verdict.keys_pinned:
        yield "Whose keys these are: they came with the archive. Pin keys you trust with --log-key and --holder-key."
    yield "That a holder told the truth: a receipt shows who stated what and when, and that it cannot be taken back."
    yield "That README.txt and index.html say the same: they are for reading, and are not checked."
    if not verdict.witnesses:
        yield "That everybody is shown the same log: compare the checkpoint with one that someone else has kept."
    if verdict.unknown_signers:
        names = ", ".join(verdict.unknown_signers)
        yield f"That {names} signed the checkpoint, as lines in it say: name keys you trust with --witness-key."
    later = [one.effective_time for one in verdict.statements if one.effective_time is not None]
    if later:
        yield f"That backups and processors are done: the holders say by {_time(max(later))}."


def _table(statements: tuple[Statement, ...]) -> Table:
    table = Table("holder", "outcome", "rows", "retained", "phases", "stated", box=None, pad_edge=False)
    for one in statements:
        rows = ", ".join(f"{store} {count}" for store, count in one.counts) or "-"
        kept = ", ".join(one.retained) or "-"
        cells = (one.holder, one.outcome, rows, kept, " ".join(one.phases), _time(one.executed_time))
        table.add_row(*map(escape, cells))
    return table


def _holder(one: Statement) -> dict[str, object]:
    return {
        "holder": one.holder,
        "outcome": one.outcome,
        "counts": dict(one.counts),
        "retained": list(one.retained),
        "phases": list(one.phases),
        "executed_time": _time(one.executed_time),
        "effective_time": _time(one.effective_time),
    }


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else ""
