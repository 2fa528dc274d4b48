"""`igstats officer alerts`, `ledger`, `metrics`, `register` and `breach`: what they understand."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igstats_client.lazy import lazy
from igstats_client.officer_options import AsJson, Limit, desk

if TYPE_CHECKING:
    from igstats_client import officer_records as records
else:
    records = lazy("igstats_client.officer_records")

MISSED_CODE = 5

app = typer.Typer()
breach = typer.Typer(no_args_is_help=True, help="Breaches of personal data.")
app.add_typer(breach, name="breach")

BreachId = Annotated[str, typer.Argument(metavar="BREACH", help="Id of the breach (brc_...).")]
Since = Annotated[str, typer.Option(metavar="TIME", help="From then on: 2026-11-23, 2026-11-23T12:00Z, 24h, 7d.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Before then.")]


class Step(StrEnum):
    """What became known or was done about a breach."""

    ASSESSED = "assessed"
    AUTHORITY_TOLD = "authority_told"
    PERSONS_TOLD = "persons_told"
    MENDED = "mended"
    CLOSED = "closed"
    NOTE = "note"


class Form(StrEnum):
    """Form of the register."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


@app.command("alerts")
def list_alerts(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Prints clocks of which half or more is over, the most urgent first. Ends with 5 when one was missed.

    Example: igstats officer alerts
    """
    good = records.alerts(desk(context, as_json=as_json))
    raise typer.Exit(0 if good else MISSED_CODE)


@app.command("ledger")
def list_ledger(
    context: typer.Context,
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Prints the request ledger, newest first: what was asked, when, and how it was answered. It names nobody.

    Example: igstats officer ledger --since 2026-01-01 --limit 10000 --json
    """
    records.ledger(desk(context, as_json=as_json), since, until, limit)


@app.command("metrics")
def show_metrics(
    context: typer.Context,
    year: Annotated[int, typer.Argument(metavar="YEAR", help="Calendar year; without, this one.")] = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Prints how many requests came, were met and refused, and the median days to the answer.

    Example: igstats officer metrics 2026
    """
    records.metrics(desk(context, as_json=as_json), year)


@app.command("register")
def export_register(
    context: typer.Context,
    form: Annotated[Form, typer.Option("--format", help="Form of the document.")] = Form.JSON,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.", dir_okay=False)
    ] = None,
) -> None:
    """Writes the register of processing activities (GDPR article 30), derived from what the holders declare.

    Example: igstats officer register --format html -o register.html
    """
    records.register(desk(context, as_json=False), form, output)


@breach.command("open")
def open_breach(
    context: typer.Context,
    text: Annotated[str, typer.Option(help="What happened; no personal value.")],
    discovered: Annotated[
        str, typer.Option(metavar="TIME", help="When: the 72 hours start there. 2026-11-23T12:00Z, 3h.")
    ],
    category: Annotated[list[str] | None, typer.Option(help="Category of data, a fideslang key; repeatable.")] = None,
    persons: Annotated[int, typer.Option(min=0, help="About how many persons.")] = 0,
    consequences: Annotated[str, typer.Option(help="Likely consequences.")] = "",
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Opens a breach.

    Example: igstats officer breach open --text "A laptop was lost." --discovered 3h --persons 12
    """
    report = records.Report(text, discovered, tuple(category or ()), persons, consequences)
    records.opened(desk(context, as_json=as_json), report)


@breach.command("amend")
def amend_breach(
    context: typer.Context,
    breach_id: BreachId,
    kind: Annotated[Step, typer.Option(help="What it is.")],
    text: Annotated[str, typer.Option(help="In words; no personal value.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Adds what became known or was done. Nothing that was written can be changed.

    Example: igstats officer breach amend brc_01k... --kind authority_told --text "Notified by form 4711."
    """
    records.amended(desk(context, as_json=as_json), breach_id, kind, text)


@breach.command("list")
def list_breaches(
    context: typer.Context,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are not closed.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Prints breaches with everything that was written about them, newest first.

    Example: igstats officer breach list --open
    """
    records.breaches(desk(context, as_json=as_json), open_only=open_only)
