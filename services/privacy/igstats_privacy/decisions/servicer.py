"""DecisionService: proto in, proto out. The officer is whom the certificate names."""

from igstats.privacy.v1 import decision_service_pb2 as pb
from igstats.privacy.v1.decision_service_pb2_grpc import DecisionServiceServicer
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import officer

from igstats_privacy import messages as core
from igstats_privacy.decisions import messages
from igstats_privacy.decisions.deciding import Deciding
from igstats_privacy.decisions.holds import Holds
from igstats_privacy.decisions.previews import Previews


class DecisionServicer(DecisionServiceServicer):
    """What officers decide."""

    def __init__(self, deciding: Deciding, previews: Previews, holds: Holds) -> None:
        self._deciding = deciding
        self._previews = previews
        self._holds = holds

    async def PreviewRequest(  # noqa: N802 - gRPC name
        self, request: pb.PreviewRequestRequest, _context: Context
    ) -> pb.PreviewRequestResponse:
        """Asks all holders what an erasure would touch."""
        return pb.PreviewRequestResponse(preview_id=await self._previews.ask(request.request_id, officer()))

    async def GetPreview(  # noqa: N802 - gRPC name
        self, request: pb.GetPreviewRequest, _context: Context
    ) -> pb.GetPreviewResponse:
        """Reads the newest preview."""
        return messages.preview(await self._previews.get(request.request_id))

    async def ApproveRequest(  # noqa: N802 - gRPC name
        self, request: pb.ApproveRequestRequest, _context: Context
    ) -> pb.ApproveRequestResponse:
        """Approves."""
        shown = await self._deciding.approve(request.request_id, officer())
        return pb.ApproveRequestResponse(request=core.request(shown))

    async def DenyRequest(  # noqa: N802 - gRPC name
        self, request: pb.DenyRequestRequest, _context: Context
    ) -> pb.DenyRequestResponse:
        """Refuses."""
        reason = messages.read_reason(request.reason)
        shown = await self._deciding.deny(request.request_id, officer(), reason, request.explanation)
        return pb.DenyRequestResponse(request=core.request(shown))

    async def ExtendRequest(  # noqa: N802 - gRPC name
        self, request: pb.ExtendRequestRequest, _context: Context
    ) -> pb.ExtendRequestResponse:
        """Puts the due time off."""
        shown = await self._deciding.extend(request.request_id, officer(), request.reasons)
        return pb.ExtendRequestResponse(request=core.request(shown))

    async def PlaceHold(self, request: pb.PlaceHoldRequest, _context: Context) -> pb.PlaceHoldResponse:  # noqa: N802 - gRPC name
        """Keeps field groups of a person from erasure."""
        placed = await self._holds.place(messages.new_hold(request), officer())
        return pb.PlaceHoldResponse(hold=messages.hold(placed))

    async def ReleaseHold(  # noqa: N802 - gRPC name
        self, request: pb.ReleaseHoldRequest, _context: Context
    ) -> pb.ReleaseHoldResponse:
        """Ends a hold; what it kept back goes on."""
        return pb.ReleaseHoldResponse(hold=messages.hold(await self._holds.release(request.hold_id, officer())))

    async def ListHolds(self, request: pb.ListHoldsRequest, _context: Context) -> pb.ListHoldsResponse:  # noqa: N802 - gRPC name
        """Lists holds."""
        found = await self._holds.every(with_released=request.with_released, review_due=request.review_due)
        return pb.ListHoldsResponse(holds=map(messages.hold, found))
