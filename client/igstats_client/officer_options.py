"""What the commands of an officer have in common: how to print, which request, and the way to privacy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igstats_client.lazy import lazy
from igstats_client.settings import office

if TYPE_CHECKING:
    from igstats_client import desk as desks
else:
    desks = lazy("igstats_client.desk")

AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs: an object, or one a line.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


def desk(context: typer.Context, *, as_json: bool) -> "desks.Desk":
    """An officer's desk, with the certificate that was named before the command."""
    address, ca, cert, key = context.obj
    return desks.Desk(office(address, ca, cert, key, Path.cwd(), service="privacy"), as_json=as_json)
