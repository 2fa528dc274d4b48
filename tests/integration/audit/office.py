"""An audit service as its officers see it, as far as security audits go, beside a gateway that is played."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub, add_AuditServiceServicer_to_server
from igstats.gateway.v1 import inspection_service_pb2 as gateway_pb
from igstats.gateway.v1.inspection_service_pb2_grpc import (
    InspectionServiceServicer,
    add_InspectionServiceServicer_to_server,
)
from igstats_audit.access import ACCESS
from igstats_audit.audit_servicer import SecurityAuditRpcs
from igstats_audit.config import AuditConfig
from igstats_audit.looks import security_audits
from igstats_kit.access import Access
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.server import RpcServer
from igstats_kit.testing.certificates import Authority, Certificate

World = Any
"""The world of conftest.py, which imports this."""
LIST_KEYS = "/igstats.gateway.v1.InspectionService/ListKeyFacts"


def key_facts(key_id: str, *, days: int, used: bool = False) -> gateway_pb.KeyFacts:
    key = gateway_pb.KeyFacts(key_id=key_id, scopes=["stats:read", "stats:write"])
    key.created_time.FromDatetime(SystemClock().now() - timedelta(days=days))
    if used:
        key.last_used_time.FromDatetime(SystemClock().now())
        key.used_scopes.append("stats:read")
    return key


class PlayedGateway(InspectionServiceServicer):
    """A gateway with one key that nobody has used for a year."""

    keys = (key_facts("Zq3xK0aB", days=370),)

    async def ListKeyFacts(self, request: Any, _context: object) -> gateway_pb.ListKeyFactsResponse:
        return gateway_pb.ListKeyFactsResponse(keys=self.keys)


def as_service(config: AuditConfig, certificates: Authority, service: str) -> AuditConfig:
    issued = certificates.issue(service)
    return config.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key})


@contextlib.asynccontextmanager
async def served(config: AuditConfig, world: World) -> AsyncIterator[tuple[RpcServer, int]]:
    """The audit service, as far as security audits go."""

    class Servicer(SecurityAuditRpcs):
        def __init__(self) -> None:
            keys = config.key_directory
            ids = lambda: [path.stem for path in keys.glob("*.key")]  # noqa: E731 - as the key store lists them
            channels = Channels(config)
            opened.push_async_callback(channels.close)
            self.audits = security_audits(config, world.database, channels, world.logs, ids, SystemClock())
            self.evidence_keys = world.logs.evidence.signer.verifier_keys

    async with world.writing(), contextlib.AsyncExitStack() as opened:
        rpc = RpcServer(config, ACCESS)
        servicer = Servicer()  # type: ignore[abstract]  # the other methods are not asked for
        add_AuditServiceServicer_to_server(servicer, rpc.server)
        port = await rpc.start()
        opened.push_async_callback(rpc.stop, 0)
        yield rpc, port


@contextlib.asynccontextmanager
async def gateway_at(config: AuditConfig) -> AsyncIterator[str]:
    rpc = RpcServer(config, {LIST_KEYS: Access(frozenset({"audit"}))})
    add_InspectionServiceServicer_to_server(PlayedGateway(), rpc.server)
    try:
        yield f"127.0.0.1:{await rpc.start()}"
    finally:
        await rpc.stop(0)


@contextlib.asynccontextmanager
async def public_port(issued: Certificate) -> AsyncIterator[str]:
    """Serves a certificate to everybody, as the gateway's public ports do."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Office:
    """Gives an officer's view of an audit service; settings may be changed."""

    def __init__(self, own: AuditConfig, certificates: Authority, world: World, given: dict[str, Any]) -> None:
        self.world = world
        self._own = own
        self._certificates = certificates
        self._given = given
        self._opened = contextlib.AsyncExitStack()

    async def __call__(self, service: str = "operator", **changes: Any) -> Any:
        settings = self._own.model_copy(update=self._given | changes)
        _, port = await self._opened.enter_async_context(served(settings, self.world))
        channels = Channels(as_service(self._own, self._certificates, service))
        self._opened.push_async_callback(channels.close)
        stub: Any = AuditServiceStub(channels.to("audit", f"127.0.0.1:{port}"))
        stub.address = f"127.0.0.1:{port}"
        return stub

    async def close(self) -> None:
        """Ends every service, and the connections to their database."""
        await self._opened.aclose()
        await self.world.database.close()


def checks(audit: pb.SecurityAudit) -> dict[str, pb.Check]:
    return {check.name: check for check in audit.checks}


def outcome(check: pb.Check) -> str:
    return pb.CheckOutcome.Name(check.outcome).removeprefix("CHECK_OUTCOME_")


async def run(stub: Any) -> dict[str, pb.Check]:
    return checks((await stub.RunSecurityAudit(pb.RunSecurityAuditRequest(), timeout=60)).audit)


def places(check: pb.Check) -> list[str]:
    return [finding.place for finding in check.findings]


def advisory_on(name: str, folder: Path) -> Path:
    """A file with one advisory on every version of a package."""
    part = {"package": {"ecosystem": "PyPI", "name": name}}
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    advisory = {"id": "X-1", "modified": SystemClock().now().isoformat(), "affected": [part | {"ranges": ranges}]}
    file = folder / "advisories.json"
    file.write_text(json.dumps([advisory | {"database_specific": {"severity": "HIGH"}}]))
    return file
