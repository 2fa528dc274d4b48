"""The `igstats` command: what it understands. What it does stands in `actions` and `checking`."""

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from igstats_client import audit_command, log_command, officer_command
from igstats_client.errors import ApiError, SettingsError
from igstats_client.lazy import lazy
from igstats_client.options import CallId, Limit, Output, Printed, Since, Status, Until
from igstats_client.printing import printable
from igstats_client.settings import Settings, load

if TYPE_CHECKING:
    from igstats_client import actions, checking
    from igstats_client import calls as own_calls
else:  # gRPC takes a third of a second to load: only those wait for it who call
    actions, checking = lazy("igstats_client.actions"), lazy("igstats_client.checking")
    own_calls = lazy("igstats_client.calls")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Instagram statistics, and your rights.")
receipt = typer.Typer(no_args_is_help=True, help="Receipts of a request: get them, and check them offline.")
request = typer.Typer(no_args_is_help=True, help="Requests about a person's rights.")
profile = typer.Typer(no_args_is_help=True, help="Profiles.")
calls = typer.Typer(no_args_is_help=True, help="Your own API calls of the last 30 days.")
app.add_typer(receipt, name="receipt")
app.add_typer(request, name="request")
app.add_typer(profile, name="profile")
app.add_typer(calls, name="calls")
app.add_typer(audit_command.app, name="audit")
app.add_typer(log_command.app, name="log")
app.add_typer(officer_command.app, name="officer")


class Kind(StrEnum):
    """Which right."""

    ACCESS = "access"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    LIFTING = "lifting"
    CORRECTION = "correction"
    PORTABILITY = "portability"
    OBJECTION = "objection"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    CATEGORIES = "categories"


RequestId = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request (req_...).")]
Target = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.", dir_okay=False)]


@receipt.command("download")
def download_receipt(
    request_id: RequestId,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.", dir_okay=False)
    ] = None,
) -> None:
    """Writes the evidence of a request that has ended: a ZIP that can be checked without us.

    Example: igstats receipt download req_01k...
    """
    actions.save_evidence(_settings(), request_id, output or Path(f"evidence-{request_id}.zip"))


@receipt.command("verify")
def verify_receipt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="From `igstats receipt download` or the HTTP API.")],
    log_key: Annotated[
        list[str] | None, typer.Option(metavar="VKEY", help="Verifier key of the log, if you know it; repeatable.")
    ] = None,
    holder_key: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=BASE64", help="Public key of a holder, if you know it; repeatable, also for one."),
    ] = None,
    witness_key: Annotated[
        list[str] | None,
        typer.Option(metavar="VKEY", help="Verifier key of a witness that must have signed, too; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Checks evidence offline and says what it proves. Ends with 0 when everything holds, else with 1.

    Example: igstats receipt verify evidence-req_01k....zip
    """
    good = checking.verify_file(file, log_key or (), holder_key or (), witness_key or (), as_json=as_json)
    raise typer.Exit(0 if good else 1)


@request.command("open")
def open_request(
    kind: Annotated[Kind, typer.Option(help="Which right.")],
    instagram_user_id: Annotated[str, typer.Option(help="Instagram's id of the person's account.")] = "",
    username: Annotated[str, typer.Option(help="Instagram username. Usernames change hands: an id is better.")] = "",
    contact_id: Annotated[str, typer.Option(help="A contact person of your account (con_...).")] = "",
    own_account: Annotated[bool, typer.Option("--own-account", help="Your own account.")] = False,  # noqa: FBT002 - a flag
    corrected: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="For corrections: the right value.")
    ] = None,
    key: Annotated[str, typer.Option(help="Idempotency key: repeating it opens no second request.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,  # noqa: FBT002 - a flag
    output: Printed = Output.TABLE,
) -> None:
    """Opens a request. It is durable when this command ends.

    Example: igstats request open --kind erasure --username jane.demo --watch
    Example: igstats request open --kind correction --contact-id con_01k... --set contacts.name="Jane Doe"
    """
    named = {"instagram_user_id": instagram_user_id, "username": username, "contact_id": contact_id}
    subject = named | {"own_account": own_account}
    right = _corrections(corrected or [])
    good = actions.open_request(_settings(), kind, subject, right, key, as_json=output is Output.JSON, watched=watch)
    raise typer.Exit(0 if good else 1)


def _corrections(given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [one.partition("=") for one in given]
    if any(not equals for _, equals, _ in pairs):
        raise typer.BadParameter("must be FIELD=VALUE, for example contacts.name=Jane", param_hint="--set")
    return [(field.strip(), value) for field, _, value in pairs]


@request.command("show")
def show_request(request_id: RequestId, output: Printed = Output.TABLE) -> None:
    """Prints a request and how it stands at each holder.

    Example: igstats request show req_01k...
    """
    actions.show_request(_settings(), request_id, as_json=output is Output.JSON)


@request.command("watch")
def watch_request(request_id: RequestId, output: Printed = Output.TABLE) -> None:
    """Prints every change of a request to its end. Ends with 0 when it was fulfilled, else with 1.

    Example: igstats request watch req_01k...
    """
    good = actions.watch_request(_settings(), request_id, as_json=output is Output.JSON)
    raise typer.Exit(0 if good else 1)


@request.command("export")
def save_export(request_id: RequestId, output: Target) -> None:
    """Writes the package of an access request: a ZIP with one JSON Lines file a store.

    Example: igstats request export req_01k... -o export.zip
    """
    actions.save_export(_settings(), request_id, output)


@profile.command("show")
def show_profile(
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="Our id, Instagram's id, or username.")],
    output: Printed = Output.TABLE,
) -> None:
    """Prints a profile.

    Example: igstats profile show jane.demo
    """
    actions.show_profile(_settings(), name, as_json=output is Output.JSON)


@calls.command("list")
def list_calls(
    status: Status = "",
    since: Since = "",
    until: Until = "",
    call_id: CallId = "",
    limit: Limit = 50,
    output: Printed = Output.TABLE,
) -> None:
    """Prints your own API calls, newest first; as JSON one a line.

    Example: igstats calls list --status PERMISSION_DENIED --since 24h
    """
    wanted = own_calls.Wanted(status, since, until)
    own_calls.show(_settings(), wanted, call_id, limit, as_json=output is Output.JSON)


@calls.command("export")
def export_calls(
    status: Status = "",
    since: Since = "",
    until: Until = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write them.", dir_okay=False)
    ] = None,
) -> None:
    """Writes all your own API calls that fit, newest first, one JSON object a line.

    Example: igstats calls export --since 7d -o calls.ndjson
    """
    own_calls.export(_settings(), own_calls.Wanted(status, since, until), output)


@app.command("call")
def call(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Service/Method; without it all are listed.")] = "",
    data: Annotated[
        str, typer.Option("-d", "--data", metavar="JSON", help="The request; - reads it from stdin.")
    ] = "{}",
) -> None:
    """Calls any public method, JSON in and JSON out.

    Example: igstats call StatsService/ListProfiles -d '{"page_size": 10}'
    """
    if not method:
        sys.stdout.write(actions.methods() + "\n")
        return
    actions.call(_settings(), method, sys.stdin.read() if data == "-" else data)


def _settings() -> Settings:
    return load(os.environ, Path.cwd())


def main() -> None:
    """Runs the command; what goes wrong is told in words, with exit code 1."""
    try:
        app()
    except ApiError as error:
        _fail(str(error))
    except (SettingsError, LookupError, ValueError, OSError) as error:
        _fail(printable(str(error)))


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"igstats: {text}\n")
    sys.exit(1)
