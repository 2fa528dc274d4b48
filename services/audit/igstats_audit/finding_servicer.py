"""The part of AuditService that is about findings of the monitor: protobuf in, protobuf out."""

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer
from igstats_kit.interceptors.chain import Context
from typing_extensions import override

from igstats_audit.model import Log
from igstats_audit.monitor.findings import Findings
from igstats_audit.monitor.model import Finding, FindingKind

_LOGS = {Log.EVIDENCE: pb.LOG_EVIDENCE, Log.ACCESS: pb.LOG_ACCESS}
_KINDS = {kind: pb.FindingKind.Value(f"FINDING_KIND_{kind}") for kind in FindingKind}


class FindingRpcs(AuditServiceServicer):
    """Lists findings. The servicer that inherits this gives it `findings`."""

    findings: Findings

    @override
    async def ListFindings(self, request: pb.ListFindingsRequest, context: Context) -> pb.ListFindingsResponse:
        """A page of findings."""
        page = await self.findings.page(request.page_size, request.page_token)
        return pb.ListFindingsResponse(
            findings=map(finding_message, page.findings), next_page_token=page.next_page_token
        )


def finding_message(finding: Finding) -> pb.Finding:
    """A finding as officers read it."""
    seen = finding.observation
    made = pb.Finding(
        finding_id=finding.finding_id,
        log=_LOGS[seen.log],
        kind=_KINDS[seen.kind],
        place=seen.place,
        detail=seen.detail,
    )
    made.found_time.FromDatetime(finding.found_at)
    made.seen_time.FromDatetime(finding.seen_at)
    return made
