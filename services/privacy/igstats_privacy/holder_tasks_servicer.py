"""HolderTasksService, for holders: proto in, proto out. A holder acts under the name in its certificate only."""

from collections.abc import AsyncIterator

from igstats.holder.v1 import holder_tasks_service_pb2 as pb
from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceServicer
from igstats_kit.clock import Clock
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import caller

from igstats_privacy import messages
from igstats_privacy.errors import task_not_owned
from igstats_privacy.leases import Leases
from igstats_privacy.ledger import Ledger
from igstats_privacy.registry import Registry
from igstats_privacy.shares import Message, Piece, Shares


class HolderTasksServicer(HolderTasksServiceServicer):
    """Announcements, leases, exports and the erasure ledger."""

    def __init__(self, registry: Registry, leases: Leases, shares: Shares, ledger: Ledger, clock: Clock) -> None:
        self._registry = registry
        self._leases = leases
        self._shares = shares
        self._ledger = ledger
        self._clock = clock

    async def RegisterHolder(  # noqa: N802 - gRPC name
        self, request: pb.RegisterHolderRequest, _context: Context
    ) -> pb.RegisterHolderResponse:
        """Takes a holder's announcement."""
        _require_own(request.description.holder)
        created = await self._registry.register(*messages.announced(request, self._clock.now()))
        return pb.RegisterHolderResponse(tasks_created=created)

    async def LeaseTasks(  # noqa: N802 - gRPC name
        self, request: pb.LeaseTasksRequest, _context: Context
    ) -> pb.LeaseTasksResponse:
        """Hands out tasks with identifiers."""
        _require_own(request.holder)
        leased = await self._leases.lease(request.holder, request.task_ids)
        return pb.LeaseTasksResponse(tasks=map(messages.task, leased))

    async def UploadExport(  # noqa: N802 - gRPC name
        self, request_iterator: AsyncIterator[pb.UploadExportRequest], _context: Context
    ) -> pb.UploadExportResponse:
        """Takes one holder's shares of packages; in the form of one share alone from holders of a release before."""
        first = await anext(request_iterator, None)
        if first is None:
            raise task_not_owned(caller())
        if not first.pieces:
            share = await self._shares.take_one(caller(), first.task_id, _alone(first, request_iterator))
            return pb.UploadExportResponse(digest=share.digest, row_count=share.row_count)
        shares = await self._shares.take(caller(), _together(first, request_iterator))
        return pb.UploadExportResponse(shares=[messages.share(task_id, one) for task_id, one in shares.items()])

    async def ListErasures(  # noqa: N802 - gRPC name
        self, request: pb.ListErasuresRequest, _context: Context
    ) -> pb.ListErasuresResponse:
        """Reads the erasure ledger."""
        _require_own(request.holder)
        entries = await self._ledger.after(request.holder, request.after_sequence, request.page_size)
        return pb.ListErasuresResponse(erasures=[messages.erasure(one, request.holder) for one in entries])


def _require_own(holder: str) -> None:
    if holder != caller():
        raise task_not_owned(holder)


async def _alone(first: pb.UploadExportRequest, others: AsyncIterator[pb.UploadExportRequest]) -> AsyncIterator[Piece]:
    yield Piece(first.store, first.lines, first.row_count)
    async for other in others:
        yield Piece(other.store, other.lines, other.row_count)


async def _together(
    first: pb.UploadExportRequest, others: AsyncIterator[pb.UploadExportRequest]
) -> AsyncIterator[Message]:
    yield _message(first)
    async for other in others:
        yield _message(other)


def _message(request: pb.UploadExportRequest) -> Message:
    return [(one.task_id, Piece(one.store, one.lines, one.row_count)) for one in request.pieces]
