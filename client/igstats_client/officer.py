"""gRPC to a service itself, with the certificate of an officer."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from igstats.audit.v1 import audit_service_pb2
from igstats.privacy.v1 import decision_service_pb2, privacy_service_pb2, record_service_pb2, status_service_pb2

from igstats_client.connection import CALL_SECONDS, api_error, binding
from igstats_client.settings import Office

_FILES = (audit_service_pb2, privacy_service_pb2, decision_service_pb2, record_service_pb2, status_service_pb2)
_METHODS = {
    f"{service.name}/{method.name}": method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class OfficerConnection:
    """An open door. Use it in a `with` statement."""

    def __init__(self, office: Office, peer: str = "audit") -> None:
        files = (office.ca, office.key, office.certificate)
        credentials = grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
        named = (("grpc.ssl_target_name_override", peer), ("grpc.primary_user_agent", "igstats"))
        self._channel = grpc.secure_channel(office.address, credentials, options=named)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def call(self, name: str, request: Message, seconds: float = CALL_SECONDS) -> Any:  # noqa: ANN401 - the method's response
        """Calls a unary method by its name, Service/Method; without a service it is AuditService's.

        Raises:
            ApiError: What igstats answered.
        """
        invoke: Any = self._channel.unary_unary(**binding(_method(name)))
        try:
            return invoke(request, timeout=seconds)
        except grpc.RpcError as error:
            raise api_error(error) from error

    def stream(self, name: str, request: Message) -> Iterator[Any]:
        """Calls a method that streams its answers, named as for `call`.

        Raises:
            ApiError: What igstats answered.
        """
        answers: Any = self._channel.unary_stream(**binding(_method(name)))(request)
        try:
            yield from answers
        except grpc.RpcError as error:
            raise api_error(error) from error
        finally:
            answers.cancel()


def _method(name: str) -> MethodDescriptor:
    method: MethodDescriptor = _METHODS[name if "/" in name else f"AuditService/{name}"]
    return method
