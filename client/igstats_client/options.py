"""Options that several commands have."""

from enum import StrEnum
from typing import Annotated

import typer


class Output(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


Printed = Annotated[Output, typer.Option("-o", "--output", help="A table for people, JSON for programs.")]
Status = Annotated[str, typer.Option(metavar="CODE", help="Only those that ended so: NOT_FOUND, or 5.")]
Since = Annotated[str, typer.Option(metavar="TIME", help="From then on: 2026-11-23, 2026-11-23T12:00Z, 24h, 7d.")]
CallId = Annotated[str, typer.Option("--id", metavar="CALL", help="Only this call (req_...).")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Before then.")]
