"""Which public methods need a signature: what the descriptors say."""

from collections.abc import Iterable

from google.protobuf.descriptor import FileDescriptor
from igstats.api.v1 import account_service_pb2, connection_service_pb2, request_service_pb2, stats_service_pb2
from igstats.api.v1.access_pb2 import access

FILES = (
    account_service_pb2.DESCRIPTOR,
    connection_service_pb2.DESCRIPTOR,
    request_service_pb2.DESCRIPTOR,
    stats_service_pb2.DESCRIPTOR,
)


def signed_methods(files: Iterable[FileDescriptor] = FILES) -> frozenset[str]:
    """Full names, "/package.Service/Method"."""
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
        if method.GetOptions().Extensions[access].signature_required
    )
