"""gRPC to the audit service itself, with the certificate of an officer."""

from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message
from igstats.audit.v1 import audit_service_pb2

from igstats_client.connection import CALL_SECONDS, api_error
from igstats_client.settings import Office

_SERVICE = audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"]


class OfficerConnection:
    """An open door. Use it in a `with` statement."""

    def __init__(self, office: Office) -> None:
        files = (office.ca, office.key, office.certificate)
        credentials = grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
        named = (("grpc.ssl_target_name_override", "audit"), ("grpc.primary_user_agent", "igstats"))
        self._channel = grpc.secure_channel(office.address, credentials, options=named)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def call(self, name: str, request: Message) -> Any:  # noqa: ANN401 - the method's response
        """Calls a unary method of AuditService by its name.

        Raises:
            ApiError: What igstats answered.
        """
        method = _SERVICE.methods_by_name[name]
        invoke: Any = self._channel.unary_unary(
            f"/{_SERVICE.full_name}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        try:
            return invoke(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise api_error(error) from error
