"""The internal PrivacyService, for doors and officers: proto in, proto out."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from igstats.privacy.v1 import privacy_service_pb2 as pb
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceServicer
from igstats_kit.clock import Clock
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import caller

from igstats_privacy import messages
from igstats_privacy.correctable import refuse_uncorrectable
from igstats_privacy.errors import field_invalid
from igstats_privacy.exports import EXCERPT
from igstats_privacy.model import CANARY, Identifier, Shown
from igstats_privacy.public_messages import page_token, read_page_token
from igstats_privacy.recipients import Recipients
from igstats_privacy.registry import Registry
from igstats_privacy.requests import Requests


class Excerpts(Protocol):
    """Gives data of persons who have restricted processing, on record."""

    async def open(self, identifiers: Sequence[Identifier], ground: str, reason: str, key: str, officer: str) -> Shown:
        """Asks the holders; `ground` is a name of ExcerptGround without prefix.

        Raises:
            DomainError: FIELD_INVALID, SUBJECT_UNIDENTIFIED.
        """
        ...

    def read(self, request_id: str, officer: str) -> AsyncIterator[bytes]:
        """The excerpt as a ZIP, in pieces.

        Raises:
            DomainError: REQUEST_NOT_FOUND, EXPORT_NOT_READY, EXPORT_EXPIRED.
        """
        ...


class PrivacyServicer(PrivacyServiceServicer):
    """Requests of all doors, and the holders."""

    def __init__(
        self, requests: Requests, registry: Registry, recipients: Recipients, excerpts: Excerpts, clock: Clock
    ) -> None:
        self._requests = requests
        self._registry = registry
        self._recipients = recipients
        self._excerpts = excerpts
        self._clock = clock

    async def OpenRequest(  # noqa: N802 - gRPC name
        self, request: pb.OpenRequestRequest, _context: Context
    ) -> pb.OpenRequestResponse:
        """Opens a request."""
        wish = messages.new_request(request)
        if wish.door == EXCERPT:
            raise field_invalid("door", "is opened by OpenExcerpt only")
        if wish.door == CANARY:
            raise field_invalid("door", "is that of planted canaries, who are nobody")
        await refuse_uncorrectable(wish, self._registry)
        opened = await self._requests.open(wish)
        return pb.OpenRequestResponse(request=messages.request(opened))

    async def GetRequest(  # noqa: N802 - gRPC name
        self, request: pb.GetRequestRequest, _context: Context
    ) -> pb.GetRequestResponse:
        """Reads a request."""
        found = messages.request(await self._requests.get(request.request_id))
        told = await self._recipients.of_request(request.request_id)
        found.recipients.extend(map(messages.recipient, told))
        return pb.GetRequestResponse(request=found)

    async def ListRequests(  # noqa: N802 - gRPC name
        self, request: pb.ListRequestsRequest, _context: Context
    ) -> pb.ListRequestsResponse:
        """Lists requests."""
        found, more = await self._requests.page(
            request.page_size,
            read_page_token(request.page_token),
            state=messages.read_state(request.state),
            blocked_only=request.blocked_only,
        )
        return pb.ListRequestsResponse(requests=map(messages.request, found), next_page_token=page_token(more))

    async def ConfirmIdentity(  # noqa: N802 - gRPC name
        self, request: pb.ConfirmIdentityRequest, _context: Context
    ) -> pb.ConfirmIdentityResponse:
        """Goes on with a request whose identity is proved."""
        shown = await self._requests.confirm_identity(request.request_id, request.identity_proof)
        return pb.ConfirmIdentityResponse(request=messages.request(shown))

    async def RetryTask(  # noqa: N802 - gRPC name
        self, request: pb.RetryTaskRequest, _context: Context
    ) -> pb.RetryTaskResponse:
        """Sends a blocked task back to its holder."""
        phase = messages.read_phase(request.phase)
        if phase is None:
            raise field_invalid("phase", "must be set")
        shown = await self._requests.retry_task(request.request_id, request.holder, phase)
        return pb.RetryTaskResponse(request=messages.request(shown))

    async def WithdrawRequest(  # noqa: N802 - gRPC name
        self, request: pb.WithdrawRequestRequest, _context: Context
    ) -> pb.WithdrawRequestResponse:
        """Takes a request back."""
        shown = await self._requests.withdraw(request.request_id)
        return pb.WithdrawRequestResponse(request=messages.request(shown))

    async def ListHolders(  # noqa: N802 - gRPC name
        self, _request: pb.ListHoldersRequest, _context: Context
    ) -> pb.ListHoldersResponse:
        """Lists the holders."""
        return pb.ListHoldersResponse(holders=map(messages.holder, await self._registry.holders()))

    async def SetHolderEnabled(  # noqa: N802 - gRPC name
        self, request: pb.SetHolderEnabledRequest, _context: Context
    ) -> pb.SetHolderEnabledResponse:
        """Switches a holder on or off."""
        switched = await self._registry.switch(request.holder, enabled=request.enabled)
        return pb.SetHolderEnabledResponse(holder=messages.holder(switched))

    async def DescribeProcessing(  # noqa: N802 - gRPC name
        self, _request: pb.DescribeProcessingRequest, _context: Context
    ) -> pb.DescribeProcessingResponse:
        """The register of processing."""
        described = map(messages.description, await self._registry.holders())
        now = messages.stamp(self._clock.now())
        return pb.DescribeProcessingResponse(holders=described, described_time=now)

    async def OpenExcerpt(  # noqa: N802 - gRPC name
        self, request: pb.OpenExcerptRequest, _context: Context
    ) -> pb.OpenExcerptResponse:
        """Asks for data of a person who has restricted processing."""
        named = [messages.read_identifier(one) for one in request.identifiers]
        ground = pb.ExcerptGround.Name(request.ground).removeprefix("EXCERPT_GROUND_")
        opened = await self._excerpts.open(named, ground, request.reason, request.idempotency_key, caller())
        return pb.OpenExcerptResponse(request=messages.request(opened))

    async def ReadExcerpt(  # noqa: N802 - gRPC name
        self, request: pb.ReadExcerptRequest, _context: Context
    ) -> AsyncIterator[pb.ReadExcerptResponse]:
        """Sends an excerpt."""
        async for piece in self._excerpts.read(request.request_id, caller()):
            yield pb.ReadExcerptResponse(chunk=piece)
