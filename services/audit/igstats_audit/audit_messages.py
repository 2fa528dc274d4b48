"""Reports of security audits as protobuf says them."""

from igstats.audit.v1 import audit_service_pb2 as pb

from igstats_audit.checks.history import StoredAudit
from igstats_audit.checks.report import CheckReport, Finding, Report, Severity


def write(report: Report) -> bytes:
    """The report as its entry in the evidence log holds it."""
    return message(report).SerializeToString(deterministic=True)


def message(report: Report) -> pb.SecurityAudit:
    """The report."""
    made = pb.SecurityAudit(
        audit_id=report.audit_id,
        checks=map(_check, report.checks),
        finding_count=len(report.findings),
        worst=_severity(report.worst),
    )
    made.started_time.FromDatetime(report.started_at)
    made.finished_time.FromDatetime(report.finished_at)
    return made


def summary(audit: StoredAudit) -> pb.SecurityAudit:
    """How an audit ended, without its checks."""
    made = pb.SecurityAudit(audit_id=audit.audit_id, finding_count=audit.finding_count, worst=_severity(audit.worst))
    made.started_time.FromDatetime(audit.started_at)
    made.finished_time.FromDatetime(audit.finished_at)
    return made


def _check(check: CheckReport) -> pb.Check:
    outcome = pb.CheckOutcome.Value(f"CHECK_OUTCOME_{check.outcome}")
    return pb.Check(name=check.name, outcome=outcome, scope=check.scope, findings=map(_finding, check.findings))


def _finding(finding: Finding) -> pb.CheckFinding:
    severity = _severity(finding.severity)
    return pb.CheckFinding(severity=severity, place=finding.place, detail=finding.detail, evidence=finding.evidence)


def _severity(severity: Severity | None) -> "pb.Severity.ValueType":
    return pb.Severity.Value(f"SEVERITY_{severity.name}") if severity is not None else pb.SEVERITY_UNSPECIFIED
