"""The monitor beside the running services: it names what somebody changes in audit's database, and says so for good."""

from typing import TYPE_CHECKING, cast

import grpc
import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from sqlalchemy import text

from tests.e2e.conftest import World, assert_proved, eventually

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

FIRST = text("SELECT min(index) FROM evidence_entries WHERE request_id <> ''")
FLIP = text("UPDATE evidence_entries SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE index = :index")


def audit_channel(world: World) -> grpc.aio.Channel:
    """A channel to audit with an officer's certificate."""
    layout = world.stack.layout
    certificate = layout.certificates["operator"]
    credentials = grpc.ssl_channel_credentials(
        layout.authority.certificate.read_bytes(),
        certificate.key.read_bytes(),
        certificate.certificate.read_bytes(),
    )
    options = (("grpc.ssl_target_name_override", "audit"),)
    return grpc.aio.secure_channel(layout.address("audit-rpc"), credentials, options=options)


def officers_stub(channel: grpc.aio.Channel) -> "AuditServiceAsyncStub":
    """What an officer's tool calls."""
    return cast("AuditServiceAsyncStub", AuditServiceStub(channel))


async def test_a_changed_payload_is_named_to_officers_and_in_the_evidence_log(world: World) -> None:
    (person,) = await world.crowd.make(1)
    request_id = await world.delete(person)
    (request,) = await world.until_closed([request_id])
    assert_proved(request)
    await world.settle_down()
    audit = world.database("audit")
    async with audit.transaction() as connection:
        index = await connection.scalar(FIRST)
        await connection.execute(FLIP, {"index": index})
    try:
        async with audit_channel(world) as channel:
            stub = officers_stub(channel)
            await world.stack.parts["monitor"].kill()  # it looks at the whole log when it starts again

            async def named() -> bool:
                answer = await stub.ListFindings(pb.ListFindingsRequest(), timeout=5)
                kinds = {(one.log, one.kind, one.place) for one in answer.findings}
                return (pb.LOG_EVIDENCE, pb.FINDING_KIND_PAYLOAD_CHANGED, f"entry {index}") in kinds

            await eventually(named, "the monitor names the entry")

            async def told() -> bool:
                async with audit.read() as connection:
                    count = text("SELECT count(*) FROM evidence_entries WHERE kind = 'finding.raised'")
                    return bool(await connection.scalar(count))

            await eventually(told, "the finding is in the evidence log")
    finally:
        async with audit.transaction() as connection:
            await connection.execute(FLIP, {"index": index})


async def test_what_the_services_write_is_no_finding(world: World) -> None:
    """Whatever the tests before have done, killed and restarted, only the entry that one of them changed is wrong."""
    await world.settle_down()
    async with world.database("audit").read() as connection:
        changed = (pb.LOG_EVIDENCE, pb.FINDING_KIND_PAYLOAD_CHANGED, f"entry {await connection.scalar(FIRST)}")
    async with audit_channel(world) as channel:
        answer = await officers_stub(channel).ListFindings(pb.ListFindingsRequest(), timeout=5)
    assert {(one.log, one.kind, one.place) for one in answer.findings} <= {changed}, answer.findings


async def test_the_security_audit_reads_what_customers_meet_at_both_public_ports(world: World) -> None:
    async with audit_channel(world) as channel:
        answer = await officers_stub(channel).RunSecurityAudit(pb.RunSecurityAuditRequest(), timeout=60)
    (check,) = [one for one in answer.audit.checks if one.name == "certificates.identity"]
    assert check.outcome == pb.CHECK_OUTCOME_PASSED, check
    ports = {f"{world.stack.layout.address(port)} served" for port in ("gateway-http", "gateway-grpc")}
    assert ports <= set(check.scope.split(", "))
