"""AuditService: protobuf in, protobuf out."""

from datetime import UTC, datetime

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer
from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import caller
from typing_extensions import override

from igstats_audit.archive import Archives
from igstats_audit.archive_servicer import ArchiveRpcs
from igstats_audit.audit_servicer import SecurityAuditRpcs
from igstats_audit.audits import Audits
from igstats_audit.call_search import CallSearch
from igstats_audit.call_servicer import CallRpcs
from igstats_audit.entry_messages import acknowledgement_message, appended_message, entry_message
from igstats_audit.evidence import Evidence, require_free
from igstats_audit.finding_servicer import FindingRpcs
from igstats_audit.logs import Logs, OneLog
from igstats_audit.model import Log, NewEntry
from igstats_audit.monitor.findings import Findings


class LogRpcs(AuditServiceServicer):
    """Serves both logs. The servicer that inherits this gives it the logs, the evidence of requests and a clock."""

    logs: Logs
    evidence: Evidence
    clock: Clock

    @override
    async def AppendEntries(self, request: pb.AppendEntriesRequest, context: Context) -> pb.AppendEntriesResponse:
        """Appends entries of the calling service."""
        if {entry.producer for entry in request.entries} != {caller()}:
            raise DomainError(Reason.CALLER_NOT_ALLOWED, caller=caller())
        now = self.clock.now()
        entries = [_new_entry(entry, now) for entry in request.entries]
        require_free(entries, "entries")
        done = await self.logs.evidence.sequencer.append(entries)
        return appended_message(done)

    @override
    async def GetEntry(self, request: pb.GetEntryRequest, context: Context) -> pb.GetEntryResponse:
        """Reads one entry."""
        return pb.GetEntryResponse(entry=entry_message(await self._log(request.log).proofs.entry(request.index)))

    @override
    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Context) -> pb.GetCheckpointResponse:
        """The newest checkpoint."""
        log = self._log(request.log)
        checkpoint = log.files.checkpoint(await log.proofs.head())
        keys = log.signer.verifier_keys
        return pb.GetCheckpointResponse(checkpoint=checkpoint, verifier_key=keys[0], verifier_keys=keys)

    @override
    async def GetInclusionProof(
        self, request: pb.GetInclusionProofRequest, context: Context
    ) -> pb.GetInclusionProofResponse:
        """Proof that an entry is in the tree."""
        path, size, checkpoint = await self._log(request.log).proofs.inclusion(request.index, request.tree_size)
        return pb.GetInclusionProofResponse(path=path, tree_size=size, checkpoint=checkpoint)

    @override
    async def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, context: Context
    ) -> pb.GetConsistencyProofResponse:
        """Proof that the tree extends an older one."""
        path, size = await self._log(request.log).proofs.consistency(request.old_size, request.new_size)
        return pb.GetConsistencyProofResponse(path=path, new_size=size)

    @override
    async def GetLogFile(self, request: pb.GetLogFileRequest, context: Context) -> pb.GetLogFileResponse:
        """A file of the log."""
        content, immutable = await self._log(request.log).files.file(request.path)
        return pb.GetLogFileResponse(content=content, immutable=immutable)

    @override
    async def GetEvidence(self, request: pb.GetEvidenceRequest, context: Context) -> pb.GetEvidenceResponse:
        """Everything about a request."""
        found = await self.evidence.of(request.request_id)
        keys = self.logs.evidence.signer.verifier_keys
        return pb.GetEvidenceResponse(
            entries=map(entry_message, found.entries),
            acknowledgements=map(acknowledgement_message, found.acknowledgements),
            checkpoint=found.checkpoint + found.cosignatures,
            verifier_key=keys[0],
            verifier_keys=keys,
        )

    def _log(self, log: int) -> OneLog:
        return self.logs[Log.ACCESS if log == pb.Log.LOG_ACCESS else Log.EVIDENCE]


class AuditServicer(LogRpcs, ArchiveRpcs, CallRpcs, FindingRpcs, SecurityAuditRpcs):
    """The whole service."""

    def __init__(
        self,
        logs: Logs,
        evidence: Evidence,
        archives: Archives,
        calls: CallSearch,
        findings: Findings,
        audits: Audits,
        clock: Clock,
    ) -> None:
        self.logs = logs
        self.evidence = evidence
        self.archives = archives
        self.calls = calls
        self.findings = findings
        self.audits = audits
        self.evidence_keys = logs.evidence.signer.verifier_keys
        self.clock = clock


def _new_entry(entry: pb.NewEntry, now: datetime) -> NewEntry:
    return NewEntry(
        entry_id=entry.entry_id,
        kind=entry.kind,
        request_id=entry.request_id,
        producer=entry.producer,
        payload=entry.payload,
        occurred_at=entry.occurred_time.ToDatetime(tzinfo=UTC) if entry.HasField("occurred_time") else now,
        sequence=entry.sequence,
    )
