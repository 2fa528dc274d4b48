"""Evidence on its way through privacy: of the account's own requests only, with the keys of everyone concerned."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from igstats.api.v1 import request_service_pb2 as api
from igstats.api.v1.request_service_pb2_grpc import RequestServiceStub, add_RequestServiceServicer_to_server
from igstats.audit.v1 import audit_service_pb2 as audit
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer, add_AuditServiceServicer_to_server
from igstats_kit.access import Access
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_privacy.access import ACCESS
from igstats_privacy.events import KEPT_DAYS
from igstats_privacy.request_servicer import RequestServicer
from igstats_privacy.upstream import AuditEvidence

from tests.integration.privacy.conftest import ACCOUNT, Office

MakeConfig = Callable[[str], Awaitable[ServiceConfig]]
MakeDatabase = Callable[[str], Awaitable[Database]]
PUBLIC = "/igstats.api.v1.RequestService/"
MINE = (("x-igstats-account-id", ACCOUNT), ("x-igstats-key-id", "key_01"), ("x-igstats-scopes", "privacy:read"))
OTHER = (("x-igstats-account-id", "acc_01jd3zmg6m0000000000000001"), *MINE[1:])


class PlayedAudit(AuditServiceServicer):
    """Notes what it was asked, and answers in two pieces, or refuses."""

    def __init__(self) -> None:
        self.asked: list[audit.GetEvidenceArchiveRequest] = []
        self.refusal: DomainError | None = None

    async def GetEvidence(self, _request: Any, _context: object) -> Any:
        assert self.refusal is not None
        raise self.refusal

    async def GetEvidenceArchive(self, request: Any, _context: object) -> AsyncIterator[Any]:
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal
        for chunk in (b"PK", b"rest"):
            yield audit.GetEvidenceArchiveResponse(chunk=chunk)


class Door:
    """RequestService as the gateway sees it, and the audit behind it."""

    def __init__(self, office: Office, requests: Any, played: PlayedAudit) -> None:
        self.office, self.requests, self.played = office, requests, played

    async def archive(self, request_id: str, metadata: Any = MINE) -> bytes:
        wanted = api.GetEvidenceArchiveRequest(request_id=request_id)
        answers = self.requests.GetEvidenceArchive(wanted, metadata=metadata)
        return b"".join([answer.chunk async for answer in answers])


@pytest.fixture
async def door(office: Office, config: MakeConfig, certificates: Authority) -> AsyncIterator[Door]:
    own = await config("privacy")

    def settings(service: str) -> ServiceConfig:
        issued = certificates.issue(service)
        return own.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key, "health_listen": None})

    played = PlayedAudit()  # type: ignore[abstract]  # the other methods are not asked for
    methods = audit.DESCRIPTOR.services_by_name["AuditService"].methods
    anyone = {f"/igstats.audit.v1.AuditService/{one.name}": Access(frozenset({"privacy"})) for one in methods}
    behind = RpcServer(settings("audit"), anyone)
    add_AuditServiceServicer_to_server(played, behind.server)
    inside, outside = Channels(settings("privacy")), Channels(settings("gateway"))
    evidence = AuditEvidence(inside.to("audit", f"127.0.0.1:{await behind.start()}"), office.clock)
    rpc = RpcServer(settings("privacy"), {name: row for name, row in ACCESS.items() if name.startswith(PUBLIC)})
    servicer = RequestServicer(office.requests, office.packages, office.registry, evidence, office.recipients)
    add_RequestServiceServicer_to_server(servicer, rpc.server)
    requests = RequestServiceStub(outside.to("privacy", f"127.0.0.1:{await rpc.start()}"))
    yield Door(office, requests, played)
    await asyncio.gather(inside.close(), outside.close(), rpc.stop(0), behind.stop(0))


async def test_the_archive_is_passed_on_piece_by_piece_with_the_keys_of_the_holders(door: Door) -> None:
    await door.office.register("audit", "stats")
    request_id = await door.office.accepted()
    assert await door.archive(request_id) == b"PKrest"
    (asked,) = door.played.asked
    keys = {holder: made.signer.public_key for holder, made in door.office.holders.items()}
    assert (asked.request_id, {key.holder: key.public_key for key in asked.holder_keys}) == (request_id, keys)


async def test_the_archive_of_another_accounts_request_is_refused(door: Door) -> None:
    request_id = await door.office.open()
    with pytest.raises(DomainError) as refused:
        await door.archive(request_id, OTHER)
    assert refused.value.reason is Reason.REQUEST_NOT_FOUND
    assert door.played.asked == []


async def refused(door: Door, request_id: str) -> DomainError:
    """What both ways to the evidence answer."""
    with pytest.raises(DomainError) as archive:
        await door.archive(request_id)
    with pytest.raises(DomainError) as messages:
        await door.requests.GetEvidence(api.GetEvidenceRequest(request_id=request_id), metadata=MINE)
    assert (archive.value.reason, archive.value.retry_after) == (messages.value.reason, messages.value.retry_after)
    return archive.value


@pytest.mark.parametrize("reason", [Reason.ENTRY_NOT_FOUND, Reason.EVIDENCE_NOT_READY])
async def test_evidence_is_waited_for_as_long_as_it_can_still_come(door: Door, reason: Reason) -> None:
    door.played.refusal = DomainError(reason, log="evidence")
    request_id = await door.office.open()
    door.office.clock.advance(timedelta(days=KEPT_DAYS + 1))
    error = await refused(door, request_id)
    assert (error.reason, error.retry_after) == (Reason.EVIDENCE_NOT_READY, 1.0), "it is under way"
    await door.office.requests.withdraw(request_id, ACCOUNT)
    door.office.clock.advance(timedelta(days=KEPT_DAYS))
    assert (await refused(door, request_id)).reason is Reason.EVIDENCE_NOT_READY
    door.office.clock.advance(timedelta(seconds=1))
    error = await refused(door, request_id)
    assert (error.reason, error.retry_after) == (Reason.EVIDENCE_LOST, None), "no stream has it any more"


@pytest.mark.parametrize("reason", [Reason.EVIDENCE_LOST, Reason.ENTRY_CUT])
async def test_what_audit_says_for_good_is_passed_on(door: Door, reason: Reason) -> None:
    door.played.refusal = DomainError(reason, log="evidence")
    error = await refused(door, await door.office.open())
    assert (error.reason, error.retry_after, error.metadata) == (reason, None, {"log": "evidence"})


async def test_a_holder_that_was_there_and_not_asked_is_named_and_one_that_came_later_is_not(office: Office) -> None:
    await office.register("stats")
    office.clock.advance(timedelta(minutes=5))
    shown = await office.show(await office.open())
    assert shown.tasks == ()
    office.clock.advance(timedelta(minutes=5))
    await office.register("mail")
    assert [holder for holder, _ in await office.registry.keys(shown)] == ["stats"]
