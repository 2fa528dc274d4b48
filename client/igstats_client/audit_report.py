"""What `igstats audit report` does: fetches a report as an officer, checks its proof, prints it."""

import json
import sys

from google.protobuf import json_format
from igstats.audit.v1 import audit_service_pb2 as pb
from rich.console import Console
from rich.markup import escape

from igstats_client.audits import Proved, exit_code, prove
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
        ValueError: The report is not proved.
    """
    answer = fetch(office, audit_id)
    proved = prove(answer, log_key)
    if as_json:
        sys.stdout.write(rendered(answer.audit, proved) + "\n")
    else:
        show(answer.audit, proved, Screen())
    return exit_code(answer.audit)


def run(office: Office, log_key: str, *, as_json: bool) -> int:
    """Runs a security audit and prints its report as `report` does.

    Raises:
        ApiError: What igstats answered, also when another audit runs.
        ValueError: The report is not proved.
    """
    with OfficerConnection(office) as audit:
        done = audit.call("RunSecurityAudit", pb.RunSecurityAuditRequest(), RUN_SECONDS).audit
    return report(office, done.audit_id, log_key, as_json=as_json)


def fetch(office: Office, audit_id: str) -> pb.GetSecurityAuditResponse:
    """Asks the audit service itself, with the officer's certificate."""
    with OfficerConnection(office) as audit:
        answer: pb.GetSecurityAuditResponse = audit.call(
            "GetSecurityAudit", pb.GetSecurityAuditRequest(audit_id=audit_id)
        )
    return answer


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
