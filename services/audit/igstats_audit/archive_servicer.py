"""The part of AuditService that hands out evidence as a ZIP: protobuf in, protobuf out."""

from collections import defaultdict
from collections.abc import AsyncIterator

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer
from igstats_kit.interceptors.chain import Context
from typing_extensions import override

from igstats_audit.archive import Archives


class ArchiveRpcs(AuditServiceServicer):
    """Hands out archives. The servicer that inherits this gives it `archives`."""

    archives: Archives

    @override
    async def GetEvidenceArchive(
        self, request: pb.GetEvidenceArchiveRequest, context: Context
    ) -> AsyncIterator[pb.GetEvidenceArchiveResponse]:
        """The archive, piece by piece."""
        keys: dict[str, list[bytes]] = defaultdict(list)
        for key in request.holder_keys:
            keys[key.holder].append(key.public_key)
        for piece in await self.archives.of(request.request_id, keys):
            yield pb.GetEvidenceArchiveResponse(chunk=piece)
