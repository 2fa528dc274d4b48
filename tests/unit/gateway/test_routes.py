import pkgutil
from importlib import import_module

import igstats.api.v1
import pytest
from google.protobuf.descriptor import ServiceDescriptor
from igstats.audit.v1 import audit_service_pb2
from igstats_gateway import routes
from igstats_gateway.config import DEAREST_METHOD
from igstats_gateway.routes import UPSTREAMS, RouteError


def _public_services() -> list[ServiceDescriptor]:
    modules = [
        import_module(f"igstats.api.v1.{module.name}")
        for module in pkgutil.iter_modules(igstats.api.v1.__path__)
        if module.name.endswith("_pb2")
    ]
    return [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]


def test_every_service_of_the_public_api_has_an_upstream_and_every_upstream_a_service() -> None:
    assert {service.full_name for service in _public_services()} == set(UPSTREAMS)


def test_every_public_method_has_a_route() -> None:
    methods = {f"/{service.full_name}/{method.name}" for service in _public_services() for method in service.methods}
    assert set(routes.routes()) == methods


def test_rules_come_from_the_descriptors() -> None:
    table = routes.routes()
    create = table["/igstats.api.v1.RequestService/CreateRequest"]
    assert (create.upstream, create.rule.scope, create.rule.cost, create.streaming) == (
        "privacy",
        "privacy:write",
        10,
        False,
    )
    assert table["/igstats.api.v1.RequestService/WatchRequest"].streaming
    assert table["/igstats.api.v1.StatsService/GetProfile"].upstream == "stats"
    assert not any(route.rule.signature_required for route in table.values())


def test_no_method_costs_more_than_the_smallest_allowance_that_can_be_set() -> None:
    assert max(route.rule.cost for route in routes.routes().values()) <= DEAREST_METHOD


def test_a_service_without_upstream_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "UPSTREAMS", {})
    with pytest.raises(RouteError, match="has no upstream"):
        routes.routes()


def test_a_method_without_access_rule_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_FILES", (audit_service_pb2,))
    monkeypatch.setattr(routes, "UPSTREAMS", {"igstats.audit.v1.AuditService": "audit"})
    with pytest.raises(RouteError, match="needs the options"):
        routes.routes()


def test_the_methods_that_stream_files_say_which() -> None:
    files = {name: route.download for name, route in routes.routes().items() if route.download is not None}
    assert {name.rpartition("/")[2]: one.media_type for name, one in files.items()} == {
        "ExportCalls": "application/x-ndjson",
        "GetEvidenceArchive": "application/zip",
        "GetExport": "application/zip",
    }


def test_a_method_that_streams_a_file_without_saying_which_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "DOWNLOADS", {})
    with pytest.raises(RouteError, match="streams a file"):
        routes.routes()
