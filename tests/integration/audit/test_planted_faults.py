"""Every check of a security audit finds the fault that is planted for it, on real servers."""

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats_audit.checks.catalogue import CHECKS
from igstats_audit.config import AuditConfig
from igstats_audit.model import CallRecord
from igstats_kit.clock import SystemClock
from igstats_kit.server import RpcServer
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.processes import free_port
from ulid import ULID

from tests.integration.audit.conftest import World
from tests.integration.audit.office import Office, PlayedGateway, advisory_on, as_service, key_facts, outcome, run

MakeConfig = Callable[[str], Awaitable[AuditConfig]]
CALLED_AT = SystemClock().now() - timedelta(hours=2)
CREATE_KEY = "/igstats.api.v1.AccountService/CreateKey"
OLD_KEY = f"kek_{ULID.from_timestamp(1_700_000_000.0)}".lower()
"""A key of the day of 14 November 2023."""


@dataclass(frozen=True)
class Fault:
    """What the report must say of a planted fault: where, how bad, and the beginning of something that was seen."""

    place: str
    severity: str
    seen: str


PLANTED = {
    "api_keys.scopes": Fault("Wide0000", "LOW", "unneeded=stats:write"),
    "api_keys.unused": Fault("Zq3xK0aB", "MEDIUM", "last_used=never"),
    "calls.authentication": Fault(f"hour {CALLED_AT:%Y-%m-%dT%HZ}", "MEDIUM", "refused=60"),
    "calls.unsigned": Fault(CREATE_KEY, "LOW", "calls=1"),
    "certificates.age": Fault("audit served", "MEDIUM", "age_days=100"),
    "certificates.expiry": Fault("audit served", "HIGH", "not_after="),
    "certificates.identity": Fault("privacy served", "HIGH", "identities=spiffe://igstats/stats"),
    "database.permissions": Fault("table security_audits", "HIGH", "grantee=PUBLIC"),
    "dependencies.advisories": Fault("packaging", "HIGH", "advisory=X-1"),
    "keys.age": Fault("EVIDENCE_LOG_KEY", "LOW", "age_days=400"),
    "keys.day": Fault(OLD_KEY, "HIGH", "made=2023-11-14T22:13:20Z"),
    "keys.permissions": Fault("KEY_DIRECTORY", "HIGH", "mode=0755"),
    "log.consistency": Fault("evidence log", "HIGH", "before=size 99 root "),
    "log.findings": Fault("access log, tile/1/000", "HIGH", "kind=TILE_CHANGED"),
    "nats.permissions": Fault("spiffe://igstats/stats", "HIGH", "undeclared=igstats.>"),
}


def test_a_fault_is_planted_for_every_check() -> None:
    assert set(PLANTED) == set(CHECKS)


async def test_every_planted_fault_is_in_the_report_with_its_severity_and_what_was_seen(
    office: Office,
    config: MakeConfig,
    certificates: Authority,
    nats: Nats,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = await config("audit")
    monkeypatch.setattr(PlayedGateway, "keys", (*PlayedGateway.keys, key_facts("Wide0000", days=40, used=True)))
    certificates.issue("audit", lifetime=timedelta(days=2), age=timedelta(days=100))
    other = RpcServer(as_service(own, certificates, "stats"), {})
    try:
        stub = await office(
            listen=f"127.0.0.1:{free_port()}",
            privacy_address=f"127.0.0.1:{await other.start()}",
            evidence_log_key=old_file(own.evidence_log_key, tmp_path),
            nats_config=nats_with_more_rights(nats, tmp_path),
            advisories=advisory_on("packaging", tmp_path),
        )
        await run(stub)
        await plant_in_database(world)
        await plant_calls(world)
        (tmp_path / "keys" / f"{OLD_KEY}.key").write_bytes(bytes(32))
        (tmp_path / "keys").chmod(0o755)
        found = await run(stub)
    finally:
        (tmp_path / "keys").chmod(0o700)
        await other.stop(0)
    missed = {name: said(found[name]) for name, fault in PLANTED.items() if not tells(found[name], fault)}
    assert missed == {}
    assert {outcome(check) for check in found.values()} == {"FOUND"}


def said(check: pb.Check) -> list[tuple[str, str, list[str]]]:
    return [
        (one.place, pb.Severity.Name(one.severity).removeprefix("SEVERITY_"), list(one.evidence))
        for one in check.findings
    ]


def tells(check: pb.Check, fault: Fault) -> bool:
    return any(
        (place, severity) == (fault.place, fault.severity) and any(line.startswith(fault.seen) for line in seen)
        for place, severity, seen in said(check)
    )


def old_file(key: Path, folder: Path) -> Path:
    old = folder / "old.pem"
    old.touch(0o600)
    old.write_bytes(key.read_bytes())
    moment = (SystemClock().now() - timedelta(days=400)).timestamp()
    os.utime(old, (moment, moment))
    return old


def nats_with_more_rights(nats: Nats, folder: Path) -> Path:
    changed = json.loads(nats.config_file.read_text())
    user = next(one for one in changed["authorization"]["users"] if one["user"].endswith("/stats"))
    user["permissions"]["publish"]["allow"].append("igstats.>")
    file = folder / "nats.conf"
    file.write_text(json.dumps(changed))
    return file


async def plant_in_database(world: World) -> None:
    await world.tell("GRANT SELECT ON security_audits TO PUBLIC")
    await world.tell("UPDATE security_audits SET logs = jsonb_set(logs, '{evidence,size}', '99')")
    await world.tell(
        "INSERT INTO findings VALUES ('fnd_1', 'access', 'TILE_CHANGED', 'tile/1/000', 'another hash', now(), now())"
    )


async def plant_calls(world: World) -> None:
    """Many that could not prove who they are, and one that made a key without a signature."""
    world.clock.advance(max(CALLED_AT - world.clock.now(), timedelta(0)))
    refused = CallRecord("req_0", "", "", "/a.B/C", "grpc", 16, "", CALLED_AT, 1, b"")
    await world.call(
        CallRecord("req_u", "acc_1", "k1", CREATE_KEY, "grpc", 0, "", CALLED_AT, 1, b""),
        *(replace(refused, call_id=f"req_{number}") for number in range(60)),
    )
