"""`igstats log`: what it understands."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igstats_client.lazy import lazy
from igstats_client.settings import log_place

if TYPE_CHECKING:
    from igstats_client import log_checking as checking
    from igstats_client import log_files as files
else:
    checking, files = lazy("igstats_client.log_checking"), lazy("igstats_client.log_files")

app = typer.Typer(no_args_is_help=True, help="The two public logs, for everybody.")


class Name(StrEnum):
    """Which log."""

    EVIDENCE = "evidence"
    ACCESS = "access"


@app.callback()
def logs() -> None:
    """The two public logs, for everybody."""


@app.command("audit")
def audit_log(
    name: Annotated[Name, typer.Argument(metavar="LOG", help="evidence or access.")] = Name.EVIDENCE,
    url: Annotated[str, typer.Option(envvar="IGSTATS_HTTP_URL", help="Address of the gateway, https://...")] = "",
    ca: Annotated[str, typer.Option(envvar="IGSTATS_CA", help="File of its authority, unless that is public.")] = "",
    log_key: Annotated[
        list[str] | None, typer.Option(metavar="VKEY", help="Verifier key that must have signed; repeatable.")
    ] = None,
    start: Annotated[
        int | None, typer.Option("--from", metavar="INDEX", min=0, help="From this leaf on all must be there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Reads a whole log, without an API key, and checks it against its signed checkpoint. Ends with 0 if it holds.

    Leaves that retention has cut are gone; how many, is said, and that nothing proves that they had to go.

    Example: igstats log audit access --log-key api.example.com/log/access+... --from 1200000
    """
    place, authority = log_place(url, ca, Path.cwd())
    checking.audit_log(files.LogFiles(place, authority, name), log_key or (), start, as_json=as_json)
