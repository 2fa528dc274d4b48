"""AuditService: protobuf in, protobuf out."""

from datetime import UTC, datetime

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer
from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import caller
from typing_extensions import override

from igstats_audit.calls import CallLog
from igstats_audit.evidence import Evidence
from igstats_audit.model import Acknowledgement, Call, Entry, NewEntry
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer


class AuditServicer(AuditServiceServicer):
    """Serves the evidence log and the API log."""

    def __init__(
        self, sequencer: Sequencer, proofs: Proofs, evidence: Evidence, calls: CallLog, verifier_key: str, clock: Clock
    ) -> None:
        self._sequencer = sequencer
        self._proofs = proofs
        self._evidence = evidence
        self._calls = calls
        self._verifier_key = verifier_key
        self._clock = clock

    @override
    async def AppendEntries(self, request: pb.AppendEntriesRequest, context: Context) -> pb.AppendEntriesResponse:
        """Appends entries of the calling service."""
        if any(entry.producer != caller() for entry in request.entries):
            raise DomainError(Reason.CALLER_NOT_ALLOWED, caller=caller())
        now = self._clock.now()
        done = await self._sequencer.append([_new_entry(entry, now) for entry in request.entries])
        return pb.AppendEntriesResponse(
            acknowledgements=map(_acknowledgement, done.acknowledgements), checkpoint=done.checkpoint
        )

    @override
    async def GetEntry(self, request: pb.GetEntryRequest, context: Context) -> pb.GetEntryResponse:
        """Reads one entry."""
        return pb.GetEntryResponse(entry=_entry(await self._proofs.entry(request.index)))

    @override
    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Context) -> pb.GetCheckpointResponse:
        """The newest checkpoint."""
        head = await self._proofs.head()
        return pb.GetCheckpointResponse(checkpoint=head.checkpoint, verifier_key=self._verifier_key)

    @override
    async def GetInclusionProof(
        self, request: pb.GetInclusionProofRequest, context: Context
    ) -> pb.GetInclusionProofResponse:
        """Proof that an entry is in the tree."""
        path, size, checkpoint = await self._proofs.inclusion(request.index, request.tree_size)
        return pb.GetInclusionProofResponse(path=path, tree_size=size, checkpoint=checkpoint)

    @override
    async def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, context: Context
    ) -> pb.GetConsistencyProofResponse:
        """Proof that the tree extends an older one."""
        path, size = await self._proofs.consistency(request.old_size, request.new_size)
        return pb.GetConsistencyProofResponse(path=path, new_size=size)

    @override
    async def GetEvidence(self, request: pb.GetEvidenceRequest, context: Context) -> pb.GetEvidenceResponse:
        """Everything about a request."""
        found = await self._evidence.of(request.request_id)
        return pb.GetEvidenceResponse(
            entries=map(_entry, found.entries),
            acknowledgements=map(_acknowledgement, found.acknowledgements),
            checkpoint=found.checkpoint,
            verifier_key=self._verifier_key,
        )

    @override
    async def SearchCalls(self, request: pb.SearchCallsRequest, context: Context) -> pb.SearchCallsResponse:
        """A page of an account's calls."""
        page = await self._calls.search(request.account_id, request.call_id, request.page_size, request.page_token)
        return pb.SearchCallsResponse(calls=map(_call, page.calls), next_page_token=page.next_page_token)


def _new_entry(entry: pb.NewEntry, now: datetime) -> NewEntry:
    return NewEntry(
        entry_id=entry.entry_id,
        kind=entry.kind,
        request_id=entry.request_id,
        producer=entry.producer,
        payload=entry.payload,
        occurred_at=entry.occurred_time.ToDatetime(tzinfo=UTC) if entry.HasField("occurred_time") else now,
    )


def _entry(entry: Entry) -> pb.Entry:
    made = pb.Entry(
        index=entry.index,
        entry_id=entry.entry_id,
        kind=entry.kind,
        request_id=entry.request_id,
        producer=entry.producer,
        leaf=entry.leaf,
        salt=entry.salt,
        payload=entry.payload,
    )
    made.occurred_time.FromDatetime(entry.occurred_at)
    return made


def _acknowledgement(one: Acknowledgement) -> pb.Acknowledgement:
    return pb.Acknowledgement(entry_id=one.entry_id, index=one.index, path=one.path)


def _call(call: Call) -> pb.Call:
    record = call.record
    made = pb.Call(
        call_id=record.call_id,
        account_id=record.account_id,
        key_id=record.key_id,
        method=record.method,
        protocol=record.protocol,
        status=record.status,
        reason=record.reason,
        latency_us=record.latency_us,
        ip_address=call.ip_address,
        user_agent=call.user_agent,
    )
    made.called_time.FromDatetime(record.called_at)
    return made
