"""A whole security audit: a report in the real log, read by officers and proved by the verifier."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats_audit.checks.catalogue import CHECKS
from igstats_audit.checks.logs import MARK
from igstats_audit.config import AuditConfig
from igstats_audit.model import CallRecord
from igstats_client.audits import exit_code, prove
from igstats_kit.errors import DomainError, Reason
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import free_port

from tests.integration.audit.conftest import World
from tests.integration.audit.office import (
    Office,
    PlayedGateway,
    advisory_on,
    as_service,
    outcome,
    places,
    public_port,
    run,
)

MakeConfig = Callable[[str], Awaitable[AuditConfig]]
MakeDatabase = Callable[[str], Awaitable[Database]]
Urls = Callable[[str], Awaitable[str]]


async def test_an_audit_names_every_check_and_what_it_could_not_look_at(office: Office) -> None:
    found = await run(await office())
    assert set(found) == set(CHECKS)
    for name in ("keys.age", "keys.permissions", "keys.day", "nats.permissions", "log.consistency", "calls.unsigned"):
        assert (name, outcome(found[name])) == (name, "PASSED")
    for name in ("dependencies.advisories", "log.findings", "certificates.expiry"):
        assert (name, outcome(found[name])) == (name, "NOT_POSSIBLE"), found[name].scope
    assert places(found["api_keys.unused"]) == ["Zq3xK0aB"]


async def test_where_everything_can_be_looked_at_and_is_good_nothing_keeps_an_audit_from_passing(
    office: Office,
    config: MakeConfig,
    certificates: Authority,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = await config("audit")
    monkeypatch.setattr(PlayedGateway, "keys", ())
    await world.tell("INSERT INTO monitor_looks VALUES ('evidence', now()), ('access', now())")
    advisories = advisory_on("somebody-else-s", tmp_path)
    async with contextlib.AsyncExitStack() as opened:
        given: dict[str, Any] = {"listen": f"127.0.0.1:{free_port()}", "advisories": advisories}
        for service in ("privacy", "stats"):
            rpc = RpcServer(as_service(own, certificates, service), {})
            given[f"{service}_address"] = f"127.0.0.1:{await rpc.start()}"
            opened.push_async_callback(rpc.stop, 0)
        public = await opened.enter_async_context(public_port(certificates.issue("gateway")))
        given |= {"public_url": "https://localhost", "public_addresses": public}
        found = await run(await office(**given))
    # The server of the tests has the databases of all of them.
    rest = {name: outcome(check) for name, check in found.items() if name != "database.permissions"}
    assert rest == dict.fromkeys(set(CHECKS) - {"database.permissions"}, "PASSED")


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
    return outcome(check), places(check)


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
