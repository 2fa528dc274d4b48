"""The checks on real servers: what is as declared passes, and every planted fault is found."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from igstats_audit.audit_store import CallIndexReader, CatalogueReader, SecurityAuditStore
from igstats_audit.checks import calls as call_checks
from igstats_audit.checks import certificates, database, logs, nats
from igstats_audit.checks.api_keys import ApiKey
from igstats_audit.checks.calls import Hour
from igstats_audit.checks.handshakes import Endpoint, Files, Handshakes
from igstats_audit.checks.history import Listing, Signed, StoredAudit
from igstats_audit.checks.logged_calls import LoggedCalls
from igstats_audit.checks.logs import History
from igstats_audit.checks.report import Finding, Outcome, Severity, concluded
from igstats_audit.config import AuditConfig
from igstats_audit.looks import endpoints, unnamed, watched
from igstats_audit.model import CallRecord, Log
from igstats_audit.monitor.finding_store import SqlFindings
from igstats_audit.monitor.model import Finding as Seen
from igstats_audit.monitor.model import FindingKind, Observation
from igstats_audit.tables import calls, entry_ids
from igstats_kit.clock import SystemClock
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.postgres import Postgres
from sqlalchemy import insert, text

from tests.integration.audit.office import public_port

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeConfig = Callable[[str], Awaitable[AuditConfig]]

CLOCK = SystemClock()


@pytest.fixture
async def own(database: MakeDatabase) -> Database:
    return await database("audit")


async def catalogue_findings(own: Database, *places: str) -> list[Finding]:
    """Findings about the places; other tests have databases on the same server."""
    found = await database.looks(CatalogueReader(own).read)["database.permissions"]()
    return [finding for finding in found.findings if finding.place in places]


async def name_of(own: Database) -> str:
    async with own.read() as connection:
        return str(await connection.scalar(text("SELECT current_database()")))


async def test_a_database_as_the_migrations_make_it_passes(own: Database) -> None:
    seen = await CatalogueReader(own).read()
    assert (seen.role, seen.owner, seen.remote, seen.extensions) == (
        "igstats_audit",
        "igstats_audit",
        False,
        ["plpgsql"],
    )
    assert seen.grants == []
    mine = (seen.database, "igstats_audit", "postgres", "template1", "plpgsql")
    assert await catalogue_findings(own, *mine) == []


@contextlib.asynccontextmanager
async def intruder(postgres: Postgres) -> AsyncIterator[tuple[str, Any]]:
    """A role that nobody has declared, and a superuser's connection to plant more."""
    name = f"intruder_{secrets.token_hex(4)}"
    async with postgres.admin() as connection:
        await connection.execute(f"CREATE ROLE {name} LOGIN")
        try:
            yield name, connection
        finally:
            await connection.execute(f"DROP ROLE {name}")


async def test_roles_with_more_rights_than_a_service_needs_are_found(own: Database, postgres: Postgres) -> None:
    async with intruder(postgres) as (role, connection):
        assert await catalogue_findings(own, role) == []
        await connection.execute(f"ALTER ROLE {role} CREATEDB BYPASSRLS")
        await connection.execute(f"GRANT pg_read_all_data TO {role}")
        attributes, membership = await catalogue_findings(own, role)
    assert attributes.evidence == ("attributes=bypassrls,createdb",)
    assert membership.evidence == ("member_of=pg_read_all_data",)
    assert {attributes.severity, membership.severity} == {Severity.HIGH}


async def test_a_role_that_may_enter_another_s_database_is_found(own: Database, postgres: Postgres) -> None:
    name = await name_of(own)
    async with intruder(postgres) as (role, connection):
        await connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {role}')
        (finding,) = await catalogue_findings(own, name)
        await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM {role}')
    assert finding.severity is Severity.HIGH
    assert f"role={role}" in finding.evidence


async def test_grants_and_extensions_that_no_migration_makes_are_found(own: Database, postgres: Postgres) -> None:
    async with postgres.admin(await name_of(own)) as connection:
        await connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        await connection.execute("GRANT SELECT ON security_audits TO PUBLIC")
        await connection.execute("ALTER DEFAULT PRIVILEGES FOR ROLE igstats_audit GRANT INSERT ON TABLES TO PUBLIC")
    planted = ("schema public", "table security_audits", "default of new things")
    found = {finding.place: finding.evidence for finding in await catalogue_findings(own, *planted)}
    assert found == {
        "schema public": ("grantee=PUBLIC", "privilege=CREATE"),
        "table security_audits": ("grantee=PUBLIC", "privilege=SELECT"),
        "default of new things": ("grantee=PUBLIC", "privilege=INSERT"),
    }


async def test_grants_on_columns_and_functions_are_found_those_of_the_system_too(
    own: Database, postgres: Postgres
) -> None:
    async with intruder(postgres) as (role, _), postgres.admin(await name_of(own)) as connection:
        await connection.execute(f"GRANT SELECT (wrapped) ON data_keys TO {role}")
        await connection.execute("CREATE FUNCTION reveal(integer) RETURNS integer LANGUAGE sql RETURN $1")
        await connection.execute(f"GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {role}")
        await connection.execute("GRANT SELECT (rolpassword) ON pg_authid TO PUBLIC")
        planted = ("column data_keys.wrapped", "function reveal(integer)", "function pg_read_file(text)")
        found = {one.place: one for one in await catalogue_findings(own, *planted, "column pg_authid.rolpassword")}
        await connection.execute(f"DROP OWNED BY {role}")
    assert {place: finding.evidence for place, finding in found.items()} == {
        "column data_keys.wrapped": (f"grantee={role}", "privilege=SELECT"),
        "function reveal(integer)": ("grantee=PUBLIC", "privilege=EXECUTE"),
        "function pg_read_file(text)": (f"grantee={role}", "privilege=EXECUTE"),
        "column pg_authid.rolpassword": ("grantee=PUBLIC", "privilege=SELECT"),
    }
    assert {finding.severity for finding in found.values()} == {Severity.HIGH}


async def test_the_server_s_own_configuration_is_as_declared_and_a_change_is_found(nats: Nats, tmp_path: Path) -> None:
    changed = json.loads(nats.config_file.read_text())
    user = next(one for one in changed["authorization"]["users"] if one["user"].endswith("/stats"))
    user["permissions"]["publish"]["allow"].append("igstats.privacy.v1.receipt.issued")
    planted = tmp_path / "nats.conf"
    planted.write_text(json.dumps(changed))
    as_declared = await nats_findings(nats.config_file)
    (finding,) = await nats_findings(planted)
    assert as_declared == []
    assert (finding.severity, finding.place) == (Severity.HIGH, "spiffe://igstats/stats")
    assert finding.evidence == ("undeclared=igstats.privacy.v1.receipt.issued",)


async def nats_findings(path: Path) -> list[Finding]:
    return list((await nats.looks(path, "operator")["nats.permissions"]()).findings)


class Served:
    """An audit that serves one certificate, NATS beside it, and the way to look at both."""

    def __init__(self, files: Files, endpoints: list[Endpoint]) -> None:
        self._handshakes = Handshakes(files, endpoints)

    async def checked(self, name: str) -> tuple[Outcome, set[str]]:
        looked = await certificates.looks(self._handshakes.read, CLOCK)[name]()
        return concluded(name, looked).outcome, {finding.place for finding in looked.findings}

    async def findings(self, name: str) -> list[Finding]:
        return list((await certificates.looks(self._handshakes.read, CLOCK)[name]()).findings)


@contextlib.asynccontextmanager
async def serving(config: AuditConfig, nats: Nats, *more: Endpoint) -> AsyncIterator[Served]:
    rpc = RpcServer(config, {})
    try:
        address = f"127.0.0.1:{await rpc.start()}"
        there = [Endpoint("audit", address), Endpoint("nats", f"127.0.0.1:{nats.port}", speaks_first=True), *more]
        yield Served(Files(config.tls_ca, config.tls_cert, config.tls_key), there)
    finally:
        await rpc.stop(0)


NAMES = ("certificates.expiry", "certificates.age", "certificates.identity")


async def test_served_certificates_are_read_and_good_ones_pass(config: MakeConfig, nats: Nats) -> None:
    async with serving(await config("audit"), nats) as served:
        assert [await served.checked(name) for name in NAMES] == [(Outcome.PASSED, set())] * 3


async def test_a_certificate_that_ends_soon_is_found_where_it_is_served(
    config: MakeConfig, certificates: Authority, nats: Nats
) -> None:
    settings = await config("audit")
    certificates.issue("audit", lifetime=timedelta(days=2), age=timedelta(days=60))
    async with serving(settings, nats) as served:
        assert await served.checked("certificates.expiry") == (Outcome.FOUND, {"audit served"})


async def test_a_certificate_that_has_expired_is_read_all_the_same(
    config: MakeConfig, certificates: Authority, nats: Nats
) -> None:
    settings = await config("audit")
    certificates.issue("audit", lifetime=timedelta(minutes=-1))
    async with serving(settings, nats) as served:
        assert await served.checked("certificates.expiry") == (Outcome.FOUND, {"audit served"})


async def test_a_certificate_of_another_service_or_authority_is_found(
    config: MakeConfig, certificates: Authority, nats: Nats, tmp_path: Path
) -> None:
    settings = await config("audit")
    strange, other = Authority(tmp_path).issue("audit"), certificates.issue("stats")
    for issued in (strange, other):
        wrong = settings.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key})
        async with serving(wrong, nats) as served:
            assert await served.checked("certificates.identity") == (Outcome.FOUND, {"audit served"})
    assert x509.load_pem_x509_certificate(strange.certificate.read_bytes())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_what_customers_meet_is_read_by_the_public_name_and_passes(
    config: MakeConfig, certificates: Authority, nats: Nats, name: str
) -> None:
    own = await config("audit")
    async with (
        public_port(certificates.issue("gateway")) as address,
        serving(own, nats, Endpoint("gateway", address, public_name=name)) as served,
    ):
        assert [await served.checked(check) for check in NAMES] == [(Outcome.PASSED, set())] * 3


async def test_what_clients_of_customers_refuse_is_found_where_they_meet_it(
    config: MakeConfig, certificates: Authority, nats: Nats, tmp_path: Path
) -> None:
    strange, ours = Authority(tmp_path).issue("gateway"), certificates.issue("gateway")
    for issued, name, refusal in (
        (strange, "localhost", "unable to get local issuer certificate"),
        (ours, "api.example.com", "Hostname mismatch, certificate is not valid for 'api.example.com'."),
    ):
        async with public_port(issued) as address:
            endpoint = Endpoint("gateway", address, public_name=name)
            async with serving(await config("audit"), nats, endpoint) as served:
                (finding,) = await served.findings("certificates.identity")
        assert (finding.severity, finding.place) == (Severity.HIGH, f"{address} served")
        assert f"refusal={refusal}" in finding.evidence


async def test_a_public_certificate_that_has_expired_is_found_once(
    config: MakeConfig, certificates: Authority, nats: Nats
) -> None:
    issued = certificates.issue("gateway", lifetime=timedelta(minutes=-1))
    async with public_port(issued) as address:
        endpoint = Endpoint("gateway", address, public_name="localhost")
        async with serving(await config("audit"), nats, endpoint) as served:
            assert await served.checked("certificates.expiry") == (Outcome.FOUND, {f"{address} served"})
            assert await served.checked("certificates.identity") == (Outcome.PASSED, set())


async def test_public_ports_are_those_that_are_named_or_that_of_the_public_url(config: MakeConfig) -> None:
    own = await config("audit")

    def public(url: str, addresses: str = "") -> list[tuple[str, str]]:
        changed = own.model_copy(update={"public_url": url, "public_addresses": addresses})
        return [(one.address, one.public_name) for one in endpoints(changed) if one.public_name]

    name = "api.example.com"
    assert public(f"https://{name}") == [(f"{name}:443", name)]
    assert public("https://[::1]:8443") == [("[::1]:8443", "::1")]
    assert public(f"https://{name}", "gateway:443,gateway:8444") == [("gateway:443", name), ("gateway:8444", name)]
    assert (public(""), len(unnamed(own))) == ([], 1)


async def test_a_service_that_does_not_answer_keeps_the_check_from_passing(config: MakeConfig, nats: Nats) -> None:
    async with contextlib.AsyncExitStack() as opened:
        silent = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        opened.push_async_callback(silent.wait_closed)
        opened.callback(silent.close)
        port = silent.sockets[0].getsockname()[1]
        gone = Endpoint("gateway", f"127.0.0.1:{port}")
        served = await opened.enter_async_context(serving(await config("audit"), nats, gone))
        assert await served.checked("certificates.expiry") == (Outcome.NOT_POSSIBLE, set())


async def test_audits_are_kept_found_and_listed(own: Database) -> None:
    store = SecurityAuditStore(own)
    now = datetime.now(UTC)
    logs = {"evidence": Signed(7, bytes(range(32)))}
    made = [StoredAudit(f"sec_{number}", now, now, number, Severity.LOW, number, logs) for number in range(3)]
    assert (await store.find(""), await store.logs()) == (None, {})
    for audit in made:
        await store.add(audit)
    assert (await store.find(""), await store.find("sec_1"), await store.find("sec_9")) == (made[2], made[1], None)
    assert await store.page("sec_2", 9) == [made[1], made[0]]
    assert await store.logs() == logs


async def test_the_list_tells_what_the_last_audit_saw_and_which_audits_of_the_log_it_lacks(own: Database) -> None:
    store, now, logs = SecurityAuditStore(own), datetime.now(UTC), {"evidence": Signed(7, bytes(range(32)))}
    assert await store.listing("") == Listing({}, audits=0, named=False, unlisted=0)
    await store.add(StoredAudit("sec_1", now, now, 0, None, 0, logs))
    await store.add(StoredAudit("sec_2", now, now, 0, None, 1, {}))
    async with own.transaction() as connection:
        for index, entry_id in enumerate(["evt_1/0", "sec_1", "sec_2", "sec_3", "secret"]):
            row = {"entry_id": entry_id, "index": index, "day": now.date(), "request_id": ""}
            await connection.execute(insert(entry_ids), row)
    assert await store.listing("sec_2") == Listing(logs, audits=2, named=True, unlisted=1)
    assert await store.listing("sec_3") == Listing(logs, audits=2, named=False, unlisted=1)


async def test_only_one_audit_runs_at_a_time_whatever_the_process(own: Database, database: MakeDatabase) -> None:
    here, there = SecurityAuditStore(own), SecurityAuditStore(await database("audit"))
    async with here.alone() as first, there.alone() as second:
        assert (first, second) == (True, False)
    async with there.alone() as third:
        assert third


async def test_calls_are_counted_by_hour_and_found_from_the_newest(own: Database) -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    async with own.transaction() as connection:
        await connection.execute(
            text("CREATE TABLE calls_20261123 PARTITION OF calls FOR VALUES FROM ('2026-11-23') TO ('2026-11-24')")
        )
        for index, (minutes, status) in enumerate([(0, 0), (10, 16), (70, 16), (80, 16)]):
            called = noon + timedelta(minutes=minutes)
            row = {"call_id": f"req_{index}", "day": called.date(), "index": index, "called_at": called}
            await connection.execute(insert(calls), {**row, "subject_token": None, "status": status})
    reader = CallIndexReader(own)
    hour = timedelta(hours=1)
    assert await reader.hours(noon, 16) == [Hour(noon, 2, 1), Hour(noon + hour, 2, 2)]
    assert await reader.hours(noon + hour, 16) == [Hour(noon + hour, 2, 2)]
    newest = await reader.places(noon, None, 3)
    assert [place.index for place in newest] == [3, 2, 1]
    assert [place.index for place in await reader.places(noon, newest[-1].index, 3)] == [0]


async def test_unsigned_calls_are_found_in_the_opened_entries_of_the_log(world: Any) -> None:
    record = CallRecord("req_1", "acc_1", "k1", "/a.B/C", "grpc", 0, "", world.clock.now(), 1, b"", signed=True)
    async with world.writing():
        unsigned = replace(record, call_id="req_2", signed=False)
        await world.call(record, unsigned, replace(unsigned, call_id="req_3", status=7))
    facts = LoggedCalls(CallIndexReader(world.database), world.access.store.entries)
    check = call_checks.looks(facts, {"/a.B/C": True}, no_keys, world.clock)["calls.unsigned"]
    looked = await check()
    (finding,) = looked.findings
    assert (looked.scope, finding.place, finding.evidence[0]) == ("3 calls of 24 hours", "/a.B/C", "calls=1")
    assert not looked.blind
    await world.tell("DELETE FROM data_keys")
    closed = await check()
    assert (concluded("x", closed).outcome, closed.scope) == (Outcome.NOT_POSSIBLE, looked.scope)


async def test_calls_that_no_longer_reach_the_log_are_missed(world: Any) -> None:
    record = CallRecord("req_1", "acc_1", "k1", "/a.B/C", "grpc", 16, "", world.clock.now(), 1, b"")
    async with world.writing():
        await world.call(record)
    facts = LoggedCalls(CallIndexReader(world.database), world.access.store.entries)
    check = call_checks.looks(facts, {}, no_keys, world.clock)["calls.authentication"]
    assert concluded("x", await check()).outcome is Outcome.PASSED
    world.clock.advance(timedelta(hours=26))
    assert concluded("x", await check()).outcome is Outcome.NOT_POSSIBLE


async def no_keys() -> list[ApiKey]:
    return []


async def no_growth() -> History:
    return History([], Listing({}, 0, named=False, unlisted=0), None)


async def test_the_audit_knows_what_the_monitor_sees_and_when_it_looked_at_everything(own: Database) -> None:
    clock, monitor = FakeClock(), SqlFindings(own)
    check = logs.looks(no_growth, watched(own), clock)["log.findings"]
    await monitor.looked(Log.EVIDENCE, clock.now())
    assert concluded("x", await check()).outcome is Outcome.NOT_POSSIBLE
    await monitor.looked(Log.ACCESS, clock.now())
    assert concluded("x", await check()).outcome is Outcome.PASSED
    clock.advance(timedelta(hours=27))
    assert concluded("x", await check()).outcome is Outcome.NOT_POSSIBLE
    seen = Observation(Log.EVIDENCE, FindingKind.PAYLOAD_CHANGED, "entry 2", "")
    await monitor.save([Seen("fnd_1", seen, clock.now(), clock.now())], [])
    for log in Log:
        await monitor.looked(log, clock.now())
    assert [found.place for found in (await check()).findings] == ["evidence log, entry 2"]
    clock.advance(timedelta(hours=1))
    for log in Log:
        await monitor.looked(log, clock.now())
    assert concluded("x", await check()).outcome is Outcome.PASSED
