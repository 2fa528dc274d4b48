"""What an officer lists of audit: security audits, and findings of the monitor."""

from collections.abc import Iterable

from igstats.audit.v1 import audit_service_pb2 as pb
from rich.console import Console

from igstats_client.desk import Desk
from igstats_client.officer_views import name, table, time, word
from igstats_client.settings import Office


def audits(office: Office, limit: int, *, as_json: bool) -> None:
    """Prints security audits, newest first."""
    desk = Desk(office, as_json=as_json, service="audit")
    found = desk.each("AuditService/ListSecurityAudits", pb.ListSecurityAuditsRequest(), "audits", limit)
    desk.show_all(list(found), show_audits)


def findings(office: Office, limit: int, *, as_json: bool) -> None:
    """Prints what the monitor has found, newest first."""
    desk = Desk(office, as_json=as_json, service="audit")
    found = desk.each("AuditService/ListFindings", pb.ListFindingsRequest(), "findings", limit)
    desk.show_all(list(found), show_findings)


def show_audits(found: Iterable[pb.SecurityAudit], console: Console) -> None:
    """Security audits, a line each."""
    rows = (
        (one.audit_id, time(one, "finished_time"), str(one.finding_count), word(pb.Severity, "SEVERITY", one.worst))
        for one in found
    )
    table(("audit", "ended", "findings", "worst"), rows, console)


def show_findings(found: Iterable[pb.Finding], console: Console) -> None:
    """Findings, a line each, then what each says."""
    shown = list(found)
    table(("finding", "log", "kind", "place", "found", "seen"), map(_finding_cells, shown), console)
    for one in shown:
        console.print(f"{one.finding_id}: {one.detail}", markup=False)


def _finding_cells(one: pb.Finding) -> tuple[str, ...]:
    kind = name(pb.FindingKind, "FINDING_KIND", one.kind)  # as the runbook writes it
    times = (time(one, "found_time"), time(one, "seen_time"))
    return (one.finding_id, word(pb.Log, "LOG", one.log), kind, one.place, *times)
