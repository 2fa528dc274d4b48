"""`igstats audit`, for officers: what it understands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igstats_client.lazy import lazy
from igstats_client.options import CallId, Limit, Output, Printed, Since, Status, Until
from igstats_client.settings import office

if TYPE_CHECKING:
    from igstats_client import audit_lists as lists
    from igstats_client import audit_report, calls
else:
    lists, calls = lazy("igstats_client.audit_lists"), lazy("igstats_client.calls")
    audit_report = lazy("igstats_client.audit_report")

app = typer.Typer(no_args_is_help=True, help="Security audits, findings, and the calls of all accounts, for officers.")

AuditAddress = Annotated[str, typer.Option(envvar="IGSTATS_AUDIT_ADDRESS", help="The audit service, host:port.")]
Authority = Annotated[str, typer.Option(envvar="IGSTATS_CA", help="File of its authority.")]
OfficerCertificate = Annotated[str, typer.Option(envvar="IGSTATS_OFFICER_CERT", help="File of your certificate.")]
OfficerKey = Annotated[str, typer.Option(envvar="IGSTATS_OFFICER_KEY", help="File of its key.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]
LogKey = Annotated[str, typer.Option(metavar="VKEY", help="Verifier key of the log, if you know it.")]


@app.command("report")
def report_audit(
    audit_id: Annotated[
        str, typer.Argument(metavar="AUDIT_ID", help="Its id (sec_...); without, the newest by the service's word.")
    ] = "",
    as_json: AsJson = False,  # noqa: FBT002 - a flag
    log_key: LogKey = "",
    address: AuditAddress = "",
    ca: Authority = "",
    cert: OfficerCertificate = "",
    key: OfficerKey = "",
) -> None:
    """Prints the report of a security audit, once it is proved. Ends with 0, 3, 4, 5 by the worst finding, else with 1.

    Example: igstats audit report --json
    """
    found = office(address, ca, cert, key, Path.cwd())
    raise typer.Exit(audit_report.report(found, audit_id, log_key, as_json=as_json))


@app.command("calls")
def list_all_calls(
    account: Annotated[str, typer.Option(metavar="ACCOUNT", help="Only those of this account (acc_...).")] = "",
    status: Status = "",
    since: Since = "",
    until: Until = "",
    call_id: CallId = "",
    limit: Limit = 50,
    output: Printed = Output.TABLE,
    address: AuditAddress = "",
    ca: Authority = "",
    cert: OfficerCertificate = "",
    key: OfficerKey = "",
) -> None:
    """Prints API calls of all accounts, newest first. That you read them goes into the evidence log.

    Example: igstats audit calls --status UNAUTHENTICATED --since 1h
    """
    found, wanted = office(address, ca, cert, key, Path.cwd()), calls.Wanted(status, since, until)
    calls.show_all(found, wanted, account, call_id, limit, as_json=output is Output.JSON)


@app.command("run")
def run_audit(
    as_json: AsJson = False,  # noqa: FBT002 - a flag
    log_key: LogKey = "",
    address: AuditAddress = "",
    ca: Authority = "",
    cert: OfficerCertificate = "",
    key: OfficerKey = "",
) -> None:
    """Runs a security audit now and prints its report; ends as `report` does. Refused while another runs.

    Example: igstats audit run
    """
    found = office(address, ca, cert, key, Path.cwd())
    raise typer.Exit(audit_report.run(found, log_key, as_json=as_json))


@app.command("list")
def list_audits(
    limit: Limit = 50,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
    address: AuditAddress = "",
    ca: Authority = "",
    cert: OfficerCertificate = "",
    key: OfficerKey = "",
) -> None:
    """Prints security audits, newest first, and how bad the worst of their findings is.

    Example: igstats audit list
    """
    lists.audits(office(address, ca, cert, key, Path.cwd()), limit, as_json=as_json)


@app.command("findings")
def list_findings(
    limit: Limit = 50,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
    address: AuditAddress = "",
    ca: Authority = "",
    cert: OfficerCertificate = "",
    key: OfficerKey = "",
) -> None:
    """Prints what the monitor has found wrong with the two logs, newest first, and when it last saw it so.

    Example: igstats audit findings
    """
    lists.findings(office(address, ca, cert, key, Path.cwd()), limit, as_json=as_json)
