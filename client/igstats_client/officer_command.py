"""`igstats officer`: who calls, and the groups of its commands."""

from typing import TYPE_CHECKING, Annotated

import typer

from igstats_client import officer_record_command
from igstats_client.lazy import lazy
from igstats_client.officer_options import AsJson, desk
from igstats_client.officer_request_command import excerpt, hold, request

if TYPE_CHECKING:
    from igstats_client import officer_requests as requests
else:
    requests = lazy("igstats_client.officer_requests")

app = typer.Typer(no_args_is_help=True, help="The queue of requests, decisions and records, for privacy officers.")
holder = typer.Typer(no_args_is_help=True, help="Services that hold data.")
app.add_typer(request, name="request")
app.add_typer(hold, name="hold")
app.add_typer(excerpt, name="excerpt")
app.add_typer(holder, name="holder")
app.add_typer(officer_record_command.app)

HolderName = Annotated[str, typer.Argument(metavar="HOLDER", help="Its name, such as stats.")]


@app.callback()
def connect(
    context: typer.Context,
    address: Annotated[
        str, typer.Option(envvar="IGSTATS_PRIVACY_ADDRESS", help="The privacy service, host:port.")
    ] = "",
    ca: Annotated[str, typer.Option(envvar="IGSTATS_CA", help="File of its authority.")] = "",
    cert: Annotated[str, typer.Option(envvar="IGSTATS_OFFICER_CERT", help="File of your certificate.")] = "",
    key: Annotated[str, typer.Option(envvar="IGSTATS_OFFICER_KEY", help="File of its key.")] = "",
) -> None:
    """Requests, decisions and records. Everything that you decide goes into the evidence log with your name."""
    context.obj = (address, ca, cert, key)


@holder.command("list")
def list_holders(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Prints the services that hold data, and when each was last seen.

    Example: igstats officer holder list
    """
    requests.holders(desk(context, as_json=as_json))


@holder.command("on")
def switch_on(context: typer.Context, name: HolderName, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Switches a holder on; what waited is sent to it.

    Example: igstats officer holder on stats
    """
    requests.switched(desk(context, as_json=as_json), name, enabled=True)


@holder.command("off")
def switch_off(context: typer.Context, name: HolderName, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Switches a holder off. Its tasks then need a person; they never count as done.

    Example: igstats officer holder off stats
    """
    requests.switched(desk(context, as_json=as_json), name, enabled=False)
