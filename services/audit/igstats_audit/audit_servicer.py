"""The part of AuditService that is about security audits: protobuf in, protobuf out."""

import re
from collections.abc import Sequence

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.chain import Context
from typing_extensions import override

from igstats_audit import audit_messages
from igstats_audit.audits import Audits
from igstats_audit.entry_messages import acknowledgement_message, entry_message

_AUDIT_ID = re.compile(r"sec_[0-9a-hjkmnp-tv-z]{26}")


class SecurityAuditRpcs(AuditServiceServicer):
    """Runs and reads security audits. The servicer that inherits this gives it `audits` and the log's keys."""

    audits: Audits
    evidence_keys: Sequence[str]

    @override
    async def RunSecurityAudit(
        self, request: pb.RunSecurityAuditRequest, context: Context
    ) -> pb.RunSecurityAuditResponse:
        """Runs an audit now."""
        return pb.RunSecurityAuditResponse(audit=audit_messages.message(await self.audits.audit()))

    @override
    async def ListSecurityAudits(
        self, request: pb.ListSecurityAuditsRequest, context: Context
    ) -> pb.ListSecurityAuditsResponse:
        """A page of audits."""
        if request.page_token and not _AUDIT_ID.fullmatch(request.page_token):
            raise DomainError(Reason.PAGE_TOKEN_INVALID)
        found, token = await self.audits.page(request.page_size, request.page_token)
        return pb.ListSecurityAuditsResponse(audits=map(audit_messages.summary, found), next_page_token=token)

    @override
    async def GetSecurityAudit(
        self, request: pb.GetSecurityAuditRequest, context: Context
    ) -> pb.GetSecurityAuditResponse:
        """One report with its proof."""
        proved = await self.audits.get(request.audit_id)
        return pb.GetSecurityAuditResponse(
            audit=pb.SecurityAudit.FromString(proved.entry.payload),
            entry=entry_message(proved.entry),
            acknowledgement=acknowledgement_message(proved.acknowledgement),
            checkpoint=proved.checkpoint,
            verifier_keys=self.evidence_keys,
        )
