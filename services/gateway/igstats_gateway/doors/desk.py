"""What the doors ask of privacy: requests, their evidence and packages, and the categories."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import grpc
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats.privacy.v1.status_service_pb2 import (
    DescribeCategoriesRequest,
    GetStatusRequest,
    ReadEvidenceRequest,
    ReadPackageRequest,
    WithdrawByCodeRequest,
)
from igstats.privacy.v1.status_service_pb2_grpc import StatusServiceStub
from igstats_kit.errors import DomainError, Reason

from igstats_gateway.doors import messages
from igstats_gateway.doors.model import Disclosure, Opened, Status, Wish

if TYPE_CHECKING:  # the generated types name them, the generated code does not
    from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceAsyncStub
    from igstats.privacy.v1.status_service_pb2_grpc import StatusServiceAsyncStub


class Desk:
    """Privacy as the doors see it. A status code opens one request and says nothing about its person."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._privacy = cast("PrivacyServiceAsyncStub", PrivacyServiceStub(channel))
        self._status = cast("StatusServiceAsyncStub", StatusServiceStub(channel))

    async def open(self, wish: Wish) -> Opened:
        """Opens a request; it is durable when this returns.

        Raises:
            DomainError: SUBJECT_UNIDENTIFIED, IDEMPOTENCY_KEY_REUSED, FIELD_INVALID, DEPENDENCY_UNAVAILABLE.
        """
        answer = await self._privacy.OpenRequest(messages.opening(wish))
        return messages.read_request(answer.request)

    async def status(self, status_code: str) -> Status:
        """Where a request stands.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN.
        """
        return messages.read_status(await self._status.GetStatus(GetStatusRequest(status_code=status_code)))

    async def withdraw(self, status_code: str) -> Opened:
        """Takes a request back, as its person may before execution.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, TRANSITION_NOT_ALLOWED.
        """
        answer = await self._status.WithdrawByCode(WithdrawByCodeRequest(status_code=status_code))
        return messages.read_request(answer.request)

    async def evidence(self, status_code: str) -> AsyncGenerator[bytes, None]:
        """The evidence of a request that has closed, as a ZIP in pieces.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, EVIDENCE_NOT_READY, EVIDENCE_LOST, ENTRY_CUT.
        """
        answers: Any = self._status.ReadEvidence(ReadEvidenceRequest(status_code=status_code))
        async with aclosing(answers):
            async for answer in answers:
                yield answer.chunk

    async def package(self, link: str) -> AsyncGenerator[bytes, None]:
        """The package that a link (status code, ".", secret) opens, as a ZIP in pieces; read to its end it is used up.

        Raises:
            DomainError: PACKAGE_LINK_INVALID.
        """
        code, _, secret = link.partition(".")
        if not code or not secret:
            raise DomainError(Reason.PACKAGE_LINK_INVALID)
        answers: Any = self._status.ReadPackage(ReadPackageRequest(status_code=code, link_secret=secret))
        async with aclosing(answers):
            async for answer in answers:
                yield answer.chunk

    async def categories(self) -> Disclosure:
        """Categories, sources, purposes, recipients and retention, derived from what the holders declare."""
        return messages.read_disclosure(await self._status.DescribeCategories(DescribeCategoriesRequest()))
