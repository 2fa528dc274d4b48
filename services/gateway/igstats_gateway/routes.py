"""The public methods, read from the descriptors: who serves each, what it costs, how it looks over HTTP.

Complete or refused: a method without access rule or HTTP rule, or a service without upstream, stops the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from google.api.annotations_pb2 import http as http_option
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from igstats.api.v1 import account_service_pb2, connection_service_pb2, request_service_pb2, stats_service_pb2
from igstats.api.v1.access_pb2 import access as access_option

from igstats_gateway.downloads import DOWNLOADS, Download, is_piece
from igstats_gateway.model import Rule

OURSELVES = "gateway"
UPSTREAMS: Mapping[str, str] = {
    "igstats.api.v1.AccountService": OURSELVES,
    "igstats.api.v1.ConnectionService": "stats",
    "igstats.api.v1.StatsService": "stats",
    "igstats.api.v1.RequestService": "privacy",
}
_FILES = (account_service_pb2, connection_service_pb2, request_service_pb2, stats_service_pb2)


class RouteError(Exception):
    """The protos leave something open; the text says what. A fault of the program, found before it serves."""


@dataclass(frozen=True)
class Route:
    """One public method."""

    method: str  # "/igstats.api.v1.StatsService/GetProfile"
    upstream: str
    rule: Rule
    streaming: bool
    request: type[Message]
    response: type[Message]
    http: HttpRule
    download: Download | None = None


def services() -> list[ServiceDescriptor]:
    """The services of the public API."""
    return [service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()]


def routes() -> dict[str, Route]:
    """All public methods by full name.

    Raises:
        RouteError: A method or service is not completely described.
    """
    found = [_route(service, method) for service in services() for method in service.methods]
    return {route.method: route for route in found}


def _route(service: ServiceDescriptor, method: MethodDescriptor) -> Route:
    options = method.GetOptions()
    name = f"/{service.full_name}/{method.name}"
    if service.full_name not in UPSTREAMS:
        raise RouteError(f"{service.full_name} has no upstream: add it to UPSTREAMS")
    if not options.HasExtension(access_option) or not options.HasExtension(http_option):
        raise RouteError(f"{name} needs the options access and google.api.http")
    if method.client_streaming:
        raise RouteError(f"{name} streams from the client, which the gateway does not relay")
    access = options.Extensions[access_option]
    if not access.scope:
        raise RouteError(f"{name} names no scope")
    response = GetMessageClass(method.output_type)
    if (method.server_streaming and is_piece(response)) != (name in DOWNLOADS):
        raise RouteError(f"{name} streams a file exactly if DOWNLOADS says which")
    return Route(
        method=name,
        upstream=UPSTREAMS[service.full_name],
        rule=Rule(access.scope, access.cost or 1, access.signature_required),
        streaming=method.server_streaming,
        request=GetMessageClass(method.input_type),
        response=response,
        http=options.Extensions[http_option],
        download=DOWNLOADS.get(name),
    )
