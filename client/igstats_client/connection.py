"""gRPC to the gateway: any public method by name, with the API key, over TLS."""

import time
from collections.abc import Iterator
from typing import Any, Self

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status
from igstats.api.v1 import (
    account_service_pb2,
    connection_service_pb2,
    request_service_pb2,
    stats_service_pb2,
)

from igstats_client.errors import ApiError
from igstats_client.settings import Settings

CALL_SECONDS = 30.0
_MESSAGE_BYTES = 64 * 1024 * 1024
_PACKAGE = "igstats.api.v1."
_FILES = (account_service_pb2, connection_service_pb2, request_service_pb2, stats_service_pb2)
_METHODS = {
    f"{service.name}/{method.name}": method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def methods() -> list[str]:
    """Names of all public methods, Service/Method."""
    return sorted(_METHODS)


def find(name: str) -> MethodDescriptor:
    """The method of this name: Service/Method, with or without package and first slash.

    Raises:
        LookupError: There is none.
    """
    short = name.removeprefix("/").removeprefix(_PACKAGE)
    if short not in _METHODS:
        raise LookupError(f"there is no method {name}; igstats call without a name lists them")
    method: MethodDescriptor = _METHODS[short]
    return method


def request_class(method: MethodDescriptor) -> type[Message]:
    """The class of a method's request."""
    return message_factory.GetMessageClass(method.input_type)


class Connection:
    """An open door. Use it in a `with` statement."""

    def __init__(self, settings: Settings) -> None:
        authority = settings.ca.read_bytes() if settings.ca is not None else None
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(authority), grpc.access_token_call_credentials(settings.key)
        )
        options = (("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.primary_user_agent", "igstats"))
        self._channel = grpc.secure_channel(settings.address, credentials, options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, name: str, request: Message, *, patience: float = 0.0) -> Any:  # noqa: ANN401 - the method's response
        """Calls a unary method. An answer that says when to come back is followed for `patience` seconds.

        Raises:
            ApiError: What igstats answered.
        """
        invoke = self._channel.unary_unary(**binding(find(name)))
        waits = _Patience(patience)
        while True:
            try:
                return invoke(request, timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                waits.or_raise(api_error(error))

    def stream(self, name: str, request: Message, *, patience: float = 0.0) -> Iterator[Any]:
        """Calls a method that streams its answers; patience as in `call`, until the first of them.

        Raises:
            ApiError: What igstats answered.
        """
        invoke = self._channel.unary_stream(**binding(find(name)))
        waits = _Patience(patience)
        while True:
            answers = invoke(request)
            try:
                for answer in answers:
                    waits = _Patience(0)
                    yield answer
            except grpc.RpcError as error:
                waits.or_raise(api_error(error))
            else:
                return
            finally:
                answers.cancel()


class _Patience:
    """How long to come back when an answer says when."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def or_raise(self, problem: ApiError) -> None:
        """Waits as long as the answer says, or raises it when that would be too long."""
        if problem.retry_after is None or time.monotonic() + problem.retry_after > self._end:
            raise problem
        time.sleep(problem.retry_after)


def binding(method: MethodDescriptor) -> dict[str, Any]:
    """What a channel must know of a method to call it."""
    return {
        "method": f"/{method.containing_service.full_name}/{method.name}",
        "request_serializer": lambda request: request.SerializeToString(),
        "response_deserializer": message_factory.GetMessageClass(method.output_type).FromString,
    }


def api_error(error: Any) -> ApiError:  # noqa: ANN401 - a grpc.RpcError that is also a grpc.Call
    """The error that igstats sent, or the transport's own."""
    found = ApiError(error.code().name, error.details() or "", call_id=_call_id(error))
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        _read_detail(found, detail)
    return found


def _read_detail(found: ApiError, detail: Any) -> None:  # noqa: ANN401 - a google.protobuf.Any
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    if detail.Unpack(info):
        found.reason, found.metadata = info.reason, dict(info.metadata)
    elif detail.Unpack(bad):
        found.violations = [(one.field, one.description) for one in bad.field_violations]
    elif detail.Unpack(retry):
        found.retry_after = retry.retry_delay.ToMilliseconds() / 1000


def _call_id(error: Any) -> str:  # noqa: ANN401 - as above
    told = dict(error.initial_metadata() or ())
    return str(told.get("request-id", ""))
