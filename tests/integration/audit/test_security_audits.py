"""A whole security audit: planted faults on real servers, a report in the real log, proved by the verifier."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub, add_AuditServiceServicer_to_server
from igstats.gateway.v1 import inspection_service_pb2 as gateway_pb
from igstats.gateway.v1.inspection_service_pb2_grpc import (
    InspectionServiceServicer,
    add_InspectionServiceServicer_to_server,
)
from igstats_audit.access import ACCESS
from igstats_audit.audit_servicer import SecurityAuditRpcs
from igstats_audit.checks.catalogue import CHECKS
from igstats_audit.checks.logs import MARK
from igstats_audit.config import AuditConfig
from igstats_audit.looks import security_audits
from igstats_audit.model import CallRecord
from igstats_client.audits import exit_code, prove
from igstats_kit.access import Access
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import free_port

World = Any
"""The world of conftest.py."""
MakeConfig = Callable[[str], Awaitable[AuditConfig]]
MakeDatabase = Callable[[str], Awaitable[Database]]
Urls = Callable[[str], Awaitable[str]]
LIST_KEYS = "/igstats.gateway.v1.InspectionService/ListKeyFacts"


class PlayedGateway(InspectionServiceServicer):
    """A gateway with one key that nobody has used for a year."""

    has_keys = True

    async def ListKeyFacts(self, request: Any, _context: object) -> gateway_pb.ListKeyFactsResponse:
        if not self.has_keys:
            return gateway_pb.ListKeyFactsResponse()
        key = gateway_pb.KeyFacts(key_id="Zq3xK0aB", scopes=["stats:read"])
        key.created_time.FromDatetime(SystemClock().now() - timedelta(days=370))
        return gateway_pb.ListKeyFactsResponse(keys=[key])


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


@pytest.fixture
async def office(
    config: MakeConfig, certificates: Authority, world: World, nats: Nats, tmp_path: Path
) -> AsyncIterator[Office]:
    own = await config("audit")
    async with gateway_at(as_service(own, certificates, "gateway")) as address:
        given = {"gateway_address": address, "nats_config": nats.config_file, "nats_operator": "operator"}
        made = Office(own, certificates, world, {"key_directory": tmp_path / "keys"} | given)
        yield made
        await made.close()


def checks(audit: pb.SecurityAudit) -> dict[str, pb.Check]:
    return {check.name: check for check in audit.checks}


def outcome(check: pb.Check) -> str:
    return pb.CheckOutcome.Name(check.outcome).removeprefix("CHECK_OUTCOME_")


async def run(stub: Any) -> dict[str, pb.Check]:
    return checks((await stub.RunSecurityAudit(pb.RunSecurityAuditRequest(), timeout=60)).audit)


async def test_an_audit_names_every_check_and_what_it_could_not_look_at(office: Office) -> None:
    found = await run(await office())
    assert set(found) == set(CHECKS)
    for name in ("keys.age", "keys.permissions", "keys.day", "nats.permissions", "log.consistency", "calls.unsigned"):
        assert (name, outcome(found[name])) == (name, "PASSED")
    for name in ("dependencies.advisories", "log.findings", "certificates.expiry"):
        assert (name, outcome(found[name])) == (name, "NOT_POSSIBLE"), found[name].scope
    assert [finding.place for finding in found["api_keys.unused"].findings] == ["Zq3xK0aB"]


async def test_where_everything_can_be_looked_at_and_is_good_nothing_keeps_an_audit_from_passing(
    office: Office,
    config: MakeConfig,
    certificates: Authority,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = await config("audit")
    monkeypatch.setattr(PlayedGateway, "has_keys", False)
    await world.tell("INSERT INTO monitor_looks VALUES ('evidence', now()), ('access', now())")
    advisories = tmp_path / "advisories.json"
    advisories.write_text("[]")
    async with contextlib.AsyncExitStack() as opened:
        given: dict[str, Any] = {"listen": f"127.0.0.1:{free_port()}", "advisories": advisories}
        for service in ("privacy", "stats"):
            rpc = RpcServer(as_service(own, certificates, service), {})
            given[f"{service}_address"] = f"127.0.0.1:{await rpc.start()}"
            opened.push_async_callback(rpc.stop, 0)
        found = await run(await office(**given))
    # The server of the tests has the databases of all of them.
    rest = {name: outcome(check) for name, check in found.items() if name != "database.permissions"}
    assert rest == dict.fromkeys(set(CHECKS) - {"database.permissions"}, "PASSED")


async def test_every_planted_fault_is_in_the_report(office: Office, nats: Nats, world: World, tmp_path: Path) -> None:
    stub = await office(nats_config=planted_nats(nats, tmp_path), advisories=planted_advisory(tmp_path))
    await world.tell("GRANT SELECT ON security_audits TO PUBLIC")
    (key,) = (tmp_path / "keys").glob("*.key")
    key.parent.chmod(0o755)
    found = await run(stub)
    key.parent.chmod(0o700)
    places = {name: [finding.place for finding in check.findings] for name, check in found.items() if check.findings}
    assert places["nats.permissions"] == ["spiffe://igstats/stats"]
    assert places["dependencies.advisories"] == ["packaging"]
    assert "table security_audits" in places["database.permissions"]
    assert places["keys.permissions"] == ["KEY_DIRECTORY"]
    assert places["api_keys.unused"] == ["Zq3xK0aB"]


def planted_nats(nats: Nats, folder: Path) -> Path:
    changed = json.loads(nats.config_file.read_text())
    user = next(one for one in changed["authorization"]["users"] if one["user"].endswith("/stats"))
    user["permissions"]["publish"]["allow"].append("igstats.>")
    file = folder / "nats.conf"
    file.write_text(json.dumps(changed))
    return file


def planted_advisory(folder: Path) -> Path:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    part = {"package": {"ecosystem": "PyPI", "name": "packaging"}, "ranges": ranges}
    file = folder / "advisories.json"
    file.write_text(json.dumps([{"id": "X-1", "affected": [part]}]))
    return file


async def test_the_report_is_in_the_log_and_the_client_can_prove_it(office: Office, world: World) -> None:
    stub = await office()
    made = [(await stub.RunSecurityAudit(pb.RunSecurityAuditRequest(), timeout=60)).audit for _ in range(2)]
    newest = await stub.GetSecurityAudit(pb.GetSecurityAuditRequest())
    first = await stub.GetSecurityAudit(pb.GetSecurityAuditRequest(audit_id=made[0].audit_id))
    trusted = world.logs.evidence.signer.verifier_keys[0]
    assert (newest.audit, first.audit) == (made[1], made[0])
    assert [prove(one, trusted).index for one in (first, newest)] == [0, 1]
    assert exit_code(newest.audit) == 4  # the unused key
    newest.audit.checks[0].scope = "all is well"
    with pytest.raises(ValueError, match="not the one in the log"):
        prove(newest)


async def test_an_officer_reads_the_report_by_the_command(
    office: Office, certificates: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub, own = await office(), certificates.issue("operator")
    made = (await stub.RunSecurityAudit(pb.RunSecurityAuditRequest(), timeout=60)).audit
    monkeypatch.chdir(tmp_path)
    files = {"CA": certificates.certificate, "OFFICER_CERT": own.certificate, "OFFICER_KEY": own.key}
    told = {"IGSTATS_AUDIT_ADDRESS": stub.address} | {f"IGSTATS_{name}": str(file) for name, file in files.items()}
    code, said = await igstats("audit", "report", made.audit_id, "--json", env=told)
    assert (code, json.loads(said)["audit"]["audit_id"]) == (4, made.audit_id)
    code, said = await igstats("audit", "report", env=told)
    assert (code, "MEDIUM  Zq3xK0aB" in said) == (4, True)
    code, said = await igstats("audit", "report", "--log-key", "other+00000000+AA==", env=told)
    assert (code, "other keys" in said) == (1, True)


async def igstats(*arguments: str, env: dict[str, str]) -> tuple[int | None, str]:
    """Runs the command; answers its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("igstats")),
        *arguments,
        env=os.environ | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_audits_are_listed_in_pages_without_their_checks(office: Office) -> None:
    stub = await office()
    made = [(await stub.RunSecurityAudit(pb.RunSecurityAuditRequest(), timeout=60)).audit for _ in range(2)]
    page = await stub.ListSecurityAudits(pb.ListSecurityAuditsRequest(page_size=1))
    rest = await stub.ListSecurityAudits(pb.ListSecurityAuditsRequest(page_token=page.next_page_token))
    assert [one.audit_id for one in (*page.audits, *rest.audits)] == [made[1].audit_id, made[0].audit_id]
    assert [(len(one.checks), one.finding_count) for one in page.audits] == [(0, made[1].finding_count)]
    with pytest.raises(DomainError) as refused:
        await stub.ListSecurityAudits(pb.ListSecurityAuditsRequest(page_token="acc_1"))
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


class Copies:
    """Copies of a database, and the way back to one; nobody may be in it meanwhile."""

    def __init__(self, postgres: Postgres, url: str) -> None:
        self._postgres = postgres
        self._name = url.rsplit("/", 1)[1]
        self._copy = f"{self._name}_copy"

    async def make(self) -> None:
        await self._postgres.ensure_database(self._copy, "igstats_audit", template=self._name)

    async def put_back(self) -> None:
        await self._postgres.drop_database(self._name)
        await self._postgres.rename_database(self._copy, self._name)


async def test_a_log_that_was_put_back_is_found_by_the_next_audit(
    office: Office, database: MakeDatabase, database_url: Urls, postgres: Postgres, tmp_path: Path
) -> None:
    copies = Copies(postgres, await database_url("audit"))
    stub = await office()
    assert await consistency(stub) == ("PASSED", [])
    assert await consistency(stub) == ("PASSED", [])
    await office.close()
    await copies.make()
    office.world = type(office.world)(await database("audit"), tmp_path)
    stub = await office()
    assert [await consistency(stub) for _ in range(2)] == [("PASSED", [])] * 2
    await office.close()
    await copies.put_back()
    office.world = type(office.world)(await database("audit"), tmp_path)
    stub = await office()
    assert await consistency(stub) == ("FOUND", ["evidence log", "list of audits"])
    assert await consistency(stub) == ("FOUND", ["evidence log"])  # and so on: a fork never becomes the base
    (tmp_path / "keys" / MARK).unlink()
    assert await consistency(stub) == ("FOUND", ["evidence log"])


async def test_a_list_of_audits_that_was_emptied_is_found_with_and_without_what_lies_outside(
    office: Office, world: World, tmp_path: Path
) -> None:
    stub = await office()
    await run(stub)
    await run(stub)
    await world.tell("DELETE FROM security_audits")
    assert await consistency(stub) == ("FOUND", ["list of audits"])
    await world.tell("DELETE FROM security_audits")
    (tmp_path / "keys" / MARK).unlink()
    assert await consistency(stub) == ("FOUND", ["list of audits"])


async def test_a_log_that_is_older_than_its_first_audit_is_no_success_until_the_second(
    office: Office, world: World
) -> None:
    stub = await office()
    await world.call(CallRecord("req_1", "acc_1", "k1", "/a.B/C", "grpc", 0, "", world.clock.now(), 1, b""))
    assert await consistency(stub) == ("NOT_POSSIBLE", [])
    assert await consistency(stub) == ("PASSED", [])


async def test_what_lies_outside_of_the_database_is_missed_when_somebody_removes_it(
    office: Office, tmp_path: Path
) -> None:
    stub = await office()
    assert await consistency(stub) == ("PASSED", [])
    (tmp_path / "keys" / MARK).unlink()
    assert await consistency(stub) == ("NOT_POSSIBLE", [])
    assert await consistency(stub) == ("PASSED", [])


async def consistency(stub: Any) -> tuple[str, list[str]]:
    check = (await run(stub))["log.consistency"]
    return outcome(check), [finding.place for finding in check.findings]


async def test_what_the_monitor_has_found_is_in_the_report(office: Office, world: World) -> None:
    stub = await office()
    await world.tell(
        "INSERT INTO findings VALUES ('fnd_1', 'access', 'TILE_CHANGED', 'tile/1/000', 'another hash', now(), now())"
    )
    (finding,) = (await run(stub))["log.findings"].findings
    assert (finding.place, list(finding.evidence)) == ("access log, tile/1/000", ["kind=TILE_CHANGED"])


async def test_only_officers_read_reports(office: Office) -> None:
    with pytest.raises(DomainError) as refused:
        await (await office("gateway")).GetSecurityAudit(pb.GetSecurityAuditRequest())
    assert refused.value.reason is Reason.CALLER_NOT_ALLOWED
