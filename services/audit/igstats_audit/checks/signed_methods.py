"""Which public methods need a signature: what the descriptors say.

The design wants one on privileged scopes. Those are the scopes that write: by them whoever has found a key makes
others, changes contacts, ends connections, opens requests of persons and takes them back.
"""

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import FileDescriptor
from igstats.api.v1 import account_service_pb2, connection_service_pb2, request_service_pb2, stats_service_pb2
from igstats.api.v1.access_pb2 import access

FILES = (
    account_service_pb2.DESCRIPTOR,
    connection_service_pb2.DESCRIPTOR,
    request_service_pb2.DESCRIPTOR,
    stats_service_pb2.DESCRIPTOR,
)


_WRITES = ":write"


def signed_methods(files: Iterable[FileDescriptor] = FILES) -> Mapping[str, bool]:
    """Full names, "/package.Service/Method", and whether the gateway is told to refuse a call without a signature."""
    rules = {
        f"/{service.full_name}/{method.name}": method.GetOptions().Extensions[access]
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }
    return {
        name: rule.signature_required
        for name, rule in rules.items()
        if rule.signature_required or rule.scope.endswith(_WRITES)
    }
