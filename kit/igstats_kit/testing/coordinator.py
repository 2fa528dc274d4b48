"""A stand-in for privacy towards one holder: hands out tasks, takes exports and receipts, keeps an erasure ledger."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from igstats.event.v1.events_pb2 import ReceiptsIssued, TasksOffered
from igstats.holder.v1.holder_tasks_service_pb2 import (
    Erasure,
    ExportPiece,
    ExportShare,
    LeaseTasksRequest,
    LeaseTasksResponse,
    ListErasuresRequest,
    ListErasuresResponse,
    RegisterHolderRequest,
    RegisterHolderResponse,
    UploadExportRequest,
    UploadExportResponse,
)
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.receipt_pb2 import Receipt
from igstats.holder.v1.task_pb2 import Correction, Hold, Phase, Right, Task

from igstats_kit.errors import DomainError, Reason
from igstats_kit.receipt import verify
from igstats_kit.tokens import Tokens

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

ERASURE = (Phase.PHASE_FENCE, Phase.PHASE_ERASE, Phase.PHASE_SWEEP, Phase.PHASE_ATTEST)
CORRECTION = (Phase.PHASE_CORRECT, Phase.PHASE_ATTEST)
EXPORT = (Phase.PHASE_EXPORT, Phase.PHASE_ATTEST)
PREVIEW = (Phase.PHASE_PREVIEW, Phase.PHASE_ATTEST)
OBJECTION = (Phase.PHASE_OBJECT, Phase.PHASE_ATTEST)
OPT_IN = (Phase.PHASE_RESUME, Phase.PHASE_ATTEST)
RESTRICTION = (Phase.PHASE_RESTRICT, Phase.PHASE_ATTEST)
LIFTING = (Phase.PHASE_LIFT, Phase.PHASE_ATTEST)


@dataclass(frozen=True)
class Person:
    """Somebody made up: identifiers by kind, and values that must be nowhere once they are erased."""

    identifiers: dict[str, str]
    needles: tuple[str, ...]


Upload = Callable[[AsyncIterator[UploadExportRequest]], Awaitable[UploadExportResponse]]


@dataclass
class Coordinator:
    """Has the methods of HolderTasksServiceAsyncStub; tests offer tasks and read receipts."""

    tokens: Tokens
    public_key: bytes = b""
    tasks: dict[str, Task] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)
    exports: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    uploads: list[list[str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    deaf: bool = False
    upload: Upload | None = None

    @property
    def stub(self) -> "HolderTasksServiceAsyncStub":
        """Itself, where a stub is wanted."""
        return cast("HolderTasksServiceAsyncStub", self)

    def plan(
        self,
        holder: str,
        request_id: str,
        person: Person,
        phases: Iterable[Phase.ValueType],
        right: Right.ValueType,
        *,
        corrections: Iterable[Correction] = (),
        holds: Iterable[Hold] = (),
        ended: Iterable[Right.ValueType] = (),
    ) -> list[str]:
        """Makes the tasks of a request; returns their ids in phase order."""
        made = [self._task(holder, request_id, person, phase, right) for phase in phases]
        corrections, holds, ended = list(corrections), list(holds), list(ended)
        for task in made:
            task.corrections.extend(corrections)
            task.holds.extend(holds)
            task.ended_rights.extend(ended)
        self.tasks |= {task.task_id: task for task in made}
        return [task.task_id for task in made]

    def _task(
        self, holder: str, request_id: str, person: Person, phase: Phase.ValueType, right: Right.ValueType
    ) -> Task:
        name = Phase.Name(phase).removeprefix("PHASE_")
        kinds = {kind: IdentifierKind.Value(f"IDENTIFIER_KIND_{kind}") for kind in person.identifiers}
        return Task(
            task_id=f"{request_id}/{holder}/{name}",
            request_id=request_id,
            holder=holder,
            right=right,
            phase=phase,
            identifiers=[Identifier(kind=kinds[kind], value=value) for kind, value in person.identifiers.items()],
            tokens=[self.tokens.of(kind, value) for kind, value in person.identifiers.items()],
        )

    def erased(
        self,
        request_id: str,
        person: Person,
        holds: Iterable[Hold] = (),
        *,
        pending: bool = False,
        ended: bool = False,
    ) -> Erasure:
        """Writes an erasure into the ledger; how it stands at the holder can be changed afterwards."""
        tokens = [self.tokens.of(kind, value) for kind, value in person.identifiers.items()]
        sequence = len(self.erasures) + 1
        entry = Erasure(
            sequence=sequence, request_id=request_id, tokens=tokens, holds=holds, pending=pending, ended=ended
        )
        self.erasures.append(entry)
        return entry

    async def RegisterHolder(self, request: RegisterHolderRequest) -> RegisterHolderResponse:  # noqa: N802 - gRPC name
        """Keeps the public key."""
        self.public_key = request.public_key
        return RegisterHolderResponse()

    async def LeaseTasks(self, request: LeaseTasksRequest) -> LeaseTasksResponse:  # noqa: N802 - gRPC name
        """Hands out the named tasks."""
        leased = [self.tasks[name] for name in request.task_ids if name in self.tasks]
        for task in leased:
            task.attempt += 1
        return LeaseTasksResponse(tasks=leased)

    async def UploadExport(self, messages: AsyncIterator[UploadExportRequest]) -> UploadExportResponse:  # noqa: N802 - gRPC name
        """Takes the shares of several exports, whole or not at all; one of a task in `refused` is not wanted."""
        return await (self.upload or self._take)(messages)

    async def _take(self, messages: AsyncIterator[UploadExportRequest]) -> UploadExportResponse:
        came: dict[str, list[ExportPiece]] = {}
        async for message in messages:
            for piece in message.pieces:
                if piece.task_id in self.refused:
                    raise DomainError(Reason.SUBJECT_ERASED)
                came.setdefault(piece.task_id, []).append(piece)
        if self.deaf:
            return UploadExportResponse(digest=hashlib.sha256().digest())
        self.uploads.append(list(came))
        self.exports |= {name: [(one.store, one.lines) for one in some if one.lines] for name, some in came.items()}
        return UploadExportResponse(shares=[_share(name, some) for name, some in came.items()])

    async def ListErasures(self, request: ListErasuresRequest) -> ListErasuresResponse:  # noqa: N802 - gRPC name
        """Reads the ledger."""
        newer = [entry for entry in self.erasures if entry.sequence > request.after_sequence]
        return ListErasuresResponse(erasures=newer[: request.page_size or None])

    def read(self, published: Sequence[bytes]) -> dict[str, Receipt]:
        """Verifies serialised ReceiptsIssued and returns the receipts by task."""
        signed = [one for data in published for one in ReceiptsIssued.FromString(data).receipts]
        receipts = [verify(one, self.public_key) for one in signed]
        return {receipt.task_id: receipt for receipt in receipts}


def offer(holder: str, task_ids: Sequence[str]) -> bytes:
    """Payload of a task offer."""
    return TasksOffered(holder=holder, task_ids=task_ids).SerializeToString()


def _share(task_id: str, pieces: Sequence[ExportPiece]) -> ExportShare:
    digest = hashlib.sha256(b"".join(piece.lines for piece in pieces)).digest()
    return ExportShare(task_id=task_id, digest=digest, row_count=sum(piece.row_count for piece in pieces))
