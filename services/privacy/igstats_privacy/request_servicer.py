"""The public RequestService, as the gateway passes it on: proto in, proto out."""

from collections.abc import AsyncIterator
from typing import Protocol

from igstats.api.v1 import request_service_pb2 as api
from igstats.api.v1.request_service_pb2_grpc import RequestServiceServicer
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import account

from igstats_privacy import public_messages as messages
from igstats_privacy.correctable import refuse_uncorrectable
from igstats_privacy.recipients import Recipients
from igstats_privacy.registry import Registry
from igstats_privacy.requests import Requests
from igstats_privacy.upstream import AuditEvidence


class Packages(Protocol):
    """Gives packages."""

    def read(self, request_id: str, account_id: str) -> AsyncIterator[bytes]:
        """The package as a ZIP, in pieces.

        Raises:
            DomainError: REQUEST_NOT_FOUND, EXPORT_NOT_READY, EXPORT_EXPIRED.
        """
        ...


class RequestServicer(RequestServiceServicer):
    """Requests of the calling account."""

    def __init__(
        self,
        requests: Requests,
        packages: Packages,
        registry: Registry,
        evidence: AuditEvidence,
        recipients: Recipients,
    ) -> None:
        self._requests = requests
        self._packages = packages
        self._registry = registry
        self._evidence = evidence
        self._recipients = recipients

    async def CreateRequest(  # noqa: N802 - gRPC name
        self, request: api.CreateRequestRequest, _context: Context
    ) -> api.CreateRequestResponse:
        """Opens a request."""
        wish = messages.new_request(request, account().account_id)
        await refuse_uncorrectable(wish, self._registry)
        opened = await self._requests.open(wish)
        return api.CreateRequestResponse(request=messages.privacy_request(opened))

    async def GetRequest(  # noqa: N802 - gRPC name
        self, request: api.GetRequestRequest, _context: Context
    ) -> api.GetRequestResponse:
        """Reads a request."""
        found = await self._requests.get(request.request_id, account().account_id)
        return api.GetRequestResponse(request=messages.privacy_request(found))

    async def ListRequests(  # noqa: N802 - gRPC name
        self, request: api.ListRequestsRequest, _context: Context
    ) -> api.ListRequestsResponse:
        """Lists the account's requests."""
        before = messages.read_page_token(request.page_token)
        found, more = await self._requests.page(request.page_size, before, account_id=account().account_id)
        return api.ListRequestsResponse(
            requests=map(messages.privacy_request, found), next_page_token=messages.page_token(more)
        )

    async def WatchRequest(  # noqa: N802 - gRPC name
        self, request: api.WatchRequestRequest, _context: Context
    ) -> AsyncIterator[api.WatchRequestResponse]:
        """Sends the request at every change."""
        async for shown in self._requests.watch(request.request_id, account().account_id):
            yield api.WatchRequestResponse(request=messages.privacy_request(shown))

    async def WithdrawRequest(  # noqa: N802 - gRPC name
        self, request: api.WithdrawRequestRequest, _context: Context
    ) -> api.WithdrawRequestResponse:
        """Takes a request back."""
        withdrawn = await self._requests.withdraw(request.request_id, account().account_id)
        return api.WithdrawRequestResponse(request=messages.privacy_request(withdrawn))

    async def GetEvidence(  # noqa: N802 - gRPC name
        self, request: api.GetEvidenceRequest, _context: Context
    ) -> api.GetEvidenceResponse:
        """Reads the evidence of a request of the account."""
        mine = await self._requests.get(request.request_id, account().account_id)
        found = await self._evidence.of(mine.request)
        return messages.evidence(found, request.request_id, await self._registry.keys(mine))

    async def GetEvidenceArchive(  # noqa: N802 - gRPC name
        self, request: api.GetEvidenceArchiveRequest, _context: Context
    ) -> AsyncIterator[api.GetEvidenceArchiveResponse]:
        """Sends the evidence of a request of the account as a ZIP."""
        mine = await self._requests.get(request.request_id, account().account_id)
        async for chunk in self._evidence.archive(mine.request, await self._registry.keys(mine)):
            yield api.GetEvidenceArchiveResponse(chunk=chunk)

    async def GetExport(  # noqa: N802 - gRPC name
        self, request: api.GetExportRequest, _context: Context
    ) -> AsyncIterator[api.GetExportResponse]:
        """Sends the package of an access or portability request."""
        async for piece in self._packages.read(request.request_id, account().account_id):
            yield api.GetExportResponse(chunk=piece)

    async def ListNotices(  # noqa: N802 - gRPC name
        self, request: api.ListNoticesRequest, _context: Context
    ) -> api.ListNoticesResponse:
        """Lists what happened to persons whose data the account got."""
        before = messages.read_page_token(request.page_token, "ntc_")
        found, more = await self._recipients.notices(account().account_id, request.page_size, before)
        return api.ListNoticesResponse(notices=map(messages.notice, found), next_page_token=messages.page_token(more))
