"""What the gateway asks of the audit service."""

from datetime import UTC
from typing import TYPE_CHECKING, cast

import grpc
from igstats.audit.v1.audit_service_pb2 import Call, SearchCallsRequest
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub

from igstats_gateway.model import CallPage, LoggedCall

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub


class AuditClient:
    """Reads the API log."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("AuditServiceAsyncStub", AuditServiceStub(channel))

    async def calls(self, account_id: str, call_id: str, page_size: int, page_token: str) -> CallPage:
        """A page of the account's calls, newest first.

        Raises:
            DomainError: PAGE_TOKEN_INVALID, DEPENDENCY_UNAVAILABLE.
        """
        request = SearchCallsRequest(account_id=account_id, call_id=call_id, page_size=page_size, page_token=page_token)
        answer = await self._stub.SearchCalls(request)
        return CallPage([_logged(call) for call in answer.calls], answer.next_page_token)


def _logged(call: Call) -> LoggedCall:
    return LoggedCall(
        call_id=call.call_id,
        key_id=call.key_id,
        method=call.method,
        protocol=call.protocol,
        status=call.status,
        reason=call.reason,
        called_time=call.called_time.ToDatetime(UTC),
        latency_us=call.latency_us,
        ip_address=call.ip_address,
        user_agent=call.user_agent,
    )
