"""One request, live: a table of holders and phases that fills as the receipts come in."""

from collections.abc import AsyncIterable

from igstats.api.v1.request_service_pb2 import PrivacyRequest, Step, WatchRequestResponse
from rich.console import Console
from rich.live import Live
from rich.table import Table

_MARKS = {"PLANNED": "[dim]·[/dim]", "OFFERED": "[yellow]offered[/yellow]", "LEASED": "[yellow]at work[/yellow]"}
_BLOCKED = "[red]needs a person[/red]"


async def follow(console: Console, changes: AsyncIterable[WatchRequestResponse]) -> PrivacyRequest:
    """Shows every change until the request has ended; returns its last state."""
    last = PrivacyRequest()
    with Live(console=console, auto_refresh=False) as live:
        async for change in changes:
            last = change.request
            if last.steps:
                live.update(table(last), refresh=True)
    if not console.is_terminal:
        console.print()  # a pipe gets the last table only, without its line end
    return last


def table(request: PrivacyRequest) -> Table:
    """The request as it stands."""
    phases = list(dict.fromkeys(step.phase for step in request.steps))
    holders = sorted({step.holder for step in request.steps})
    steps = {(step.holder, step.phase): step for step in request.steps}
    drawn = Table("holder", *phases, title=f"{request.reference} is {request.state}", title_justify="left")
    for holder in holders:
        drawn.add_row(holder, *(_cell(steps.get((holder, phase))) for phase in phases))
    return drawn


def _cell(step: Step | None) -> str:
    if step is None:
        return ""
    if step.state == "BLOCKED":
        return f"{_BLOCKED} {step.explanation}"
    if step.state != "SETTLED":
        return _MARKS.get(step.state, step.state)
    rows = sum(step.counts.values())
    return f"[green]{step.outcome}[/green]" + (f" {rows} rows" if rows else "")
