"""Errors on the wire: google.rpc.Status with ErrorInfo, BadRequest and RetryInfo, and back."""

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from igstats_kit.errors import DomainError, Reason, Violation

DOMAIN = "igstats"
DETAILS = "grpc-status-details-bin"

# What an error without our ErrorInfo means: it comes from the transport, not from a service of ours.
_TRANSPORT = {
    grpc.StatusCode.UNAVAILABLE: Reason.DEPENDENCY_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.DEPENDENCY_UNAVAILABLE,
    grpc.StatusCode.CANCELLED: Reason.DEPENDENCY_UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED: Reason.METHOD_UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.DEPENDENCY_UNAVAILABLE,
}


def code_of(error: DomainError) -> grpc.StatusCode:
    """The gRPC code of an error."""
    return grpc.StatusCode[error.public.code]


def to_status(error: DomainError) -> Status:
    """The error as it travels."""
    status = Status(code=code_of(error).value[0], message=error.public.text)
    info = ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    status.details.add().Pack(info)
    if error.violations:
        fields = [BadRequest.FieldViolation(field=v.field, description=v.description) for v in error.violations]
        status.details.add().Pack(BadRequest(field_violations=fields))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after * 1000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status


async def abort(context: "grpc.aio.ServicerContext[object, object]", error: DomainError) -> None:
    """Ends the RPC with `error`. Always raises."""
    details = (DETAILS, to_status(error).SerializeToString())
    await context.abort(code_of(error), error.public.text, trailing_metadata=(details,))


def from_status(status: Status) -> DomainError | None:
    """The error that a status carries, or None when no service of ours made it."""
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in status.details:
        _unpack(detail, info, bad, retry)
    if info.domain != DOMAIN or info.reason not in Reason.__members__:
        return None
    error = DomainError(
        Reason(info.reason),
        violations=[Violation(found.field, found.description) for found in bad.field_violations],
        retry_after=retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
    )
    error.metadata.update(info.metadata)
    return error


def _unpack(detail: Any, *targets: ErrorInfo | BadRequest | RetryInfo) -> None:
    for target in targets:
        if detail.Is(target.DESCRIPTOR):
            detail.Unpack(target)


def answered(error: grpc.aio.AioRpcError) -> DomainError | None:
    """The error that a service of ours answered with, or None when the transport failed."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS and isinstance(value, bytes):
            try:
                return from_status(Status.FromString(value))
            except DecodeError:
                return None
    return None


def from_rpc_error(error: grpc.aio.AioRpcError, *, dependency: str = "") -> DomainError:
    """Re-creates the error that the other side raised; `dependency` names the other side when it gave none."""
    if found := answered(error):
        return found
    reason = _TRANSPORT.get(error.code(), Reason.INTERNAL)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in (error.details() or ""):
        reason = Reason.MESSAGE_TOO_LARGE
    if reason is Reason.DEPENDENCY_UNAVAILABLE and dependency:
        return DomainError(reason, dependency=dependency)
    return DomainError(reason)
