"""What the gateway asks of the audit service."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.api.v1.account_service_pb2 import ApiCall
from igstats.audit.v1.audit_service_pb2 import Call as FoundCall
from igstats.audit.v1.audit_service_pb2 import ExportCallsRequest, GetLogFileRequest, Log, SearchCallsRequest
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from igstats_kit.interceptors.identity import CALL_ID

from igstats_gateway.messages import descriptor_of, encode
from igstats_gateway.model import Call, CallFilter, CallPage, LogFile, LoggedCall
from igstats_gateway.relay import identity

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub

_SHOWN = frozenset(field.json_name for field in descriptor_of(ApiCall).fields)
_LOGS = {"evidence": Log.LOG_EVIDENCE, "access": Log.LOG_ACCESS}


class AuditClient:
    """Reads the API log, and the files of both logs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("AuditServiceAsyncStub", AuditServiceStub(channel))

    async def calls(self, asking: Call, wanted: CallFilter, page_size: int, page_token: str) -> CallPage:
        """A page of the account's calls, newest first.

        Raises:
            DomainError: PAGE_TOKEN_INVALID, TIME_RANGE_INVALID, FIELD_INVALID, SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        request = SearchCallsRequest(
            call_id=wanted.call_id, page_size=page_size, page_token=page_token, **_filter(asking, wanted)
        )
        answer = await self._stub.SearchCalls(request, metadata=identity(asking))
        return CallPage([_logged(call) for call in answer.calls], answer.next_page_token)

    async def export(self, asking: Call, wanted: CallFilter) -> AsyncGenerator[bytes, None]:
        """All calls of the account that fit, newest first, whole JSON lines at a time.

        Raises:
            DomainError: As `calls`.
        """
        request = ExportCallsRequest(**_filter(asking, wanted))
        answers: Any = self._stub.ExportCalls(request, metadata=identity(asking))
        async with aclosing(answers):
            async for answer in answers:
                yield shown(answer.lines)

    async def log_file(self, log: str, path: str, call_id: str) -> LogFile:
        """A file of the log `evidence` or `access`.

        Raises:
            DomainError: LOG_FILE_NOT_FOUND.
        """
        request = GetLogFileRequest(log=_LOGS[log], path=path)
        answer = await self._stub.GetLogFile(request, metadata=((CALL_ID, call_id),))
        return LogFile(answer.content, answer.immutable)


def shown(lines: bytes) -> bytes:
    """Lines of the API log with what ListCalls shows of a call, and in its words."""
    calls = [json.loads(line) for line in lines.splitlines()]
    return b"".join(encode({name: call[name] for name in call if name in _SHOWN}) + b"\n" for call in calls)


def _filter(asking: Call, wanted: CallFilter) -> dict[str, Any]:
    """The fields that a search and an export share."""
    found: dict[str, Any] = {"account_id": asking.account_id, "status": wanted.status}
    for name in ("start_time", "end_time"):
        if (moment := getattr(wanted, name)) is not None:
            found[name] = Timestamp()
            found[name].FromDatetime(moment)
    return found


def _logged(call: FoundCall) -> LoggedCall:
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
