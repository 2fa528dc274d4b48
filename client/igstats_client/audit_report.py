"""What `igstats audit report` does: fetches a report as an officer, checks its proof, prints it."""

import json
import sys
from datetime import UTC, datetime, timedelta

from google.protobuf import json_format
from igstats.audit.v1 import audit_service_pb2 as pb
from rich.console import Console
from rich.markup import escape

from igstats_client.audits import Proved, UnprovedError, exit_code, prove, require_run
from igstats_client.officer import OfficerConnection
from igstats_client.officer_views import name
from igstats_client.screen import Screen
from igstats_client.settings import Office

RUN_SECONDS = 900.0
"""As long as all checks may take, one after the other."""
_COLOURS = {"PASSED": "green", "FOUND": "red", "NOT_POSSIBLE": "yellow"}


def report(office: Office, audit_id: str, log_key: str, *, as_json: bool) -> int:
    """Prints a report; an empty id means the newest. Answers the exit code.

    Raises:
        ApiError: What igstats answered.
        ValueError: The report is not proved, or is another one.
    """
    answer = fetch(office, audit_id)
    proved = prove(answer, log_key, audit_id)
    return _print(answer.audit, proved, newest=not audit_id, as_json=as_json)


def run(office: Office, log_key: str, *, as_json: bool) -> int:
    """Runs a security audit and prints its report as `report` does.

    Raises:
        ApiError: What igstats answered, also when another audit runs.
        ValueError: The report is not proved, or is not that of the audit that was run.
    """
    began = datetime.now(UTC)
    with OfficerConnection(office) as audit:
        done = audit.call("RunSecurityAudit", pb.RunSecurityAuditRequest(), RUN_SECONDS).audit
    if not done.audit_id:
        raise UnprovedError("the service does not say which audit it has run")
    answer = fetch(office, done.audit_id)
    proved = prove(answer, log_key, done.audit_id)
    require_run(answer.audit, began)
    return _print(answer.audit, proved, newest=False, as_json=as_json)


def fetch(office: Office, audit_id: str) -> pb.GetSecurityAuditResponse:
    """Asks the audit service itself, with the officer's certificate."""
    with OfficerConnection(office) as audit:
        answer: pb.GetSecurityAuditResponse = audit.call(
            "GetSecurityAudit", pb.GetSecurityAuditRequest(audit_id=audit_id)
        )
    return answer


def _print(audit: pb.SecurityAudit, proved: Proved, *, newest: bool, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(rendered(audit, proved) + "\n")
    else:
        show(audit, proved, Screen())
        if newest:
            show_age(audit, datetime.now(UTC), Screen())
    return exit_code(audit)


def show_age(audit: pb.SecurityAudit, now: datetime, console: Console) -> None:
    """Says how old the newest report is: that there is no newer one, nothing proves."""
    hours = (now - audit.finished_time.ToDatetime(UTC)) // timedelta(hours=1)
    console.print()
    console.print(f"not proved: that it is the newest, as the service says; it ended {hours} hours ago")


def rendered(audit: pb.SecurityAudit, proved: Proved) -> str:
    """The report and where it is, as one JSON object."""
    fields = json_format.MessageToDict(audit, preserving_proto_field_name=True)
    place = {"origin": proved.origin, "index": proved.index, "tree_size": proved.size, "key_pinned": proved.pinned}
    return json.dumps({"verified": True, "log": place, "audit": fields}, indent=2)


def show(audit: pb.SecurityAudit, proved: Proved, console: Console) -> None:
    """Prints the report for people."""
    ended = audit.finished_time.ToJsonString()
    console.print(f"[bold]Security audit {escape(audit.audit_id)}[/]  {ended}  {audit.finding_count} findings")
    console.print(f"proved: entry {proved.index} of {escape(proved.origin)}, in a signed tree of {proved.size}")
    if not proved.pinned:
        console.print("not proved: whose keys signed; name the one that you trust with --log-key")
    for check in audit.checks:
        outcome = name(pb.CheckOutcome, "CHECK_OUTCOME", check.outcome)
        console.print()
        console.print(f"[{_COLOURS.get(outcome, 'red')}]{outcome}[/]  {escape(check.name)}  {escape(check.scope)}")
        for finding in check.findings:
            _show_finding(finding, console)


def _show_finding(finding: pb.CheckFinding, console: Console) -> None:
    severity = name(pb.Severity, "SEVERITY", finding.severity)
    console.print(f"  {severity}  {escape(finding.place)}: {escape(finding.detail)}")
    if finding.evidence:
        console.print(f"      {escape('  '.join(finding.evidence))}")
