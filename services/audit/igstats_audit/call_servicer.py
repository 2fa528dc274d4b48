"""The part of AuditService that is about the API log: protobuf in, protobuf out."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer
from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import call_id, caller
from typing_extensions import override

from igstats_audit.call_query import CallFilter, LoggedCall
from igstats_audit.call_search import Asker, CallSearch


class CallRpcs(AuditServiceServicer):
    """Searches the API log. The servicer that inherits this gives it `calls`."""

    calls: CallSearch

    @override
    async def SearchCalls(self, request: pb.SearchCallsRequest, context: Context) -> pb.SearchCallsResponse:
        """A page of calls."""
        wanted = _filter(request, request.call_id)
        page = await self.calls.search(_asker(), wanted, request.page_size, request.page_token)
        return pb.SearchCallsResponse(calls=map(_call, page.calls), next_page_token=page.next_page_token)

    @override
    async def ExportCalls(
        self, request: pb.ExportCallsRequest, context: Context
    ) -> AsyncGenerator[pb.ExportCallsResponse, None]:
        """All calls that fit."""
        async with aclosing(self.calls.export(_asker(), _filter(request))) as pieces:
            async for lines in pieces:
                yield pb.ExportCallsResponse(lines=lines)


def _asker() -> Asker:
    return Asker(caller(), call_id())


def _filter(request: pb.SearchCallsRequest | pb.ExportCallsRequest, wanted: str = "") -> CallFilter:
    return CallFilter(
        account_id=request.account_id,
        call_id=wanted,
        start_time=_moment(request.start_time, "start_time") if request.HasField("start_time") else None,
        end_time=_moment(request.end_time, "end_time") if request.HasField("end_time") else None,
        status=request.status if request.HasField("status") else None,
    )


def _moment(stamp: Timestamp, name: str) -> datetime:
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise DomainError(Reason.FIELD_INVALID, violations=[Violation(name, "is out of range")]) from error


def _call(call: LoggedCall) -> pb.Call:
    made = pb.Call(
        call_id=call.call_id,
        account_id=call.account_id,
        key_id=call.key_id,
        method=call.method,
        protocol=call.protocol,
        status=call.status,
        reason=call.reason,
        latency_us=call.latency_us,
        ip_address=call.ip_address,
        user_agent=call.user_agent,
        index=call.index,
    )
    made.called_time.FromDatetime(call.called_at)
    return made
