"""DecisionService over mutual TLS: officers under their own names, and a hold at a real holder until its release."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.api.v1 import request_service_pb2 as api
from igstats.event.v1.events_pb2 import AuditRecord, RecordMade, RequestsClosed
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Phase
from igstats.privacy.v1 import decision_service_pb2 as pb
from igstats.privacy.v1 import privacy_service_pb2 as privacy_pb
from igstats.privacy.v1.decision_service_pb2_grpc import DecisionServiceStub
from igstats.privacy.v1.request_pb2 import Request, RequestState, Wait
from igstats.privacy.v1.status_service_pb2 import GetStatusRequest
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.events import REQUEST_CLOSED

from tests.integration.privacy.conftest import ACCOUNT
from tests.integration.privacy.served import METADATA, Service

PERSON = Identifier(kind=IdentifierKind.IDENTIFIER_KIND_ACCOUNT_ID, value=ACCOUNT)
PACKAGE = pb.HeldGroup(holder="privacy", stores=["export_parts"])


@pytest.fixture
def chosen() -> dict[str, str]:
    return {"APPROVE": "ERASURE", "SECOND_PERSON_TENANT": "true"}


class Office:
    """Two officers, and what they hear of requests that end."""

    def __init__(self, service: Service, closings: Any) -> None:
        self.service = service
        self.closings = closings
        self.ada: Any = DecisionServiceStub(service.channel("operator/ada"))
        self.grace: Any = DecisionServiceStub(service.channel("operator/grace"))
        self.closed: set[str] = set()

    async def ended(self, request_id: str) -> Request:
        """The request once it has closed."""
        while request_id not in self.closed:
            message = await self.closings.next_msg(timeout=20)
            self.closed |= {one.request_id for one in RequestsClosed.FromString(message.data).closings}
        return await self.read(request_id)

    async def read(self, request_id: str) -> Request:
        request: Request = (
            await self.service.office.GetRequest(privacy_pb.GetRequestRequest(request_id=request_id))
        ).request
        return request

    async def waits(self, kind: api.RequestKind.ValueType) -> str:
        """A request of the account, once it waits for an officer."""
        made = await self.service.create(kind=kind, subject=api.Subject(own_account=True))
        watch = self.service.requests.WatchRequest(
            api.WatchRequestRequest(request_id=made.request_id), metadata=METADATA
        )
        async for answer in watch:
            if answer.request.wait == "APPROVAL":
                break
        return made.request_id

    async def approved(self, request_id: str) -> Request:
        """The request after both officers have approved."""
        await self.ada.ApproveRequest(pb.ApproveRequestRequest(request_id=request_id))
        await self.grace.ApproveRequest(pb.ApproveRequestRequest(request_id=request_id))
        return await self.ended(request_id)


@pytest.fixture
async def office(service: Service) -> Office:
    closings = await service.nats.subscribe(REQUEST_CLOSED)
    await service.nats.flush()
    return Office(service, closings)


def days_from_now(count: int) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(datetime.now(UTC) + timedelta(days=count))
    return made


async def test_a_customer_goes_after_a_preview_and_two_officers_each_under_the_own_name(office: Office) -> None:
    request_id = await office.waits(api.REQUEST_KIND_ERASURE)
    preview = await office.ada.GetPreview(pb.GetPreviewRequest(request_id=request_id))
    await office.ended(preview.preview_id)
    preview = await office.ada.GetPreview(pb.GetPreviewRequest(request_id=request_id))
    assert (preview.complete, [one.holder for one in preview.holders]) == (True, ["privacy"])
    approval = pb.ApproveRequestRequest(request_id=request_id)
    assert (await office.ada.ApproveRequest(approval)).request.wait == Wait.WAIT_SECOND_APPROVAL
    with pytest.raises(DomainError) as refused:
        await office.ada.ApproveRequest(approval)
    assert refused.value.reason is Reason.SECOND_PERSON_REQUIRED
    await office.grace.ApproveRequest(approval)
    assert (await office.ended(request_id)).state == RequestState.REQUEST_STATE_FULFILLED


async def test_a_hold_keeps_a_store_at_a_real_holder_until_its_release(office: Office) -> None:
    access = await office.service.create(kind=api.REQUEST_KIND_ACCESS, subject=api.Subject(own_account=True))
    await office.ended(access.request_id)
    hold = pb.PlaceHoldRequest(
        identifiers=[PERSON],
        groups=[PACKAGE],
        ground="legal_claims",
        reason="case 12",
        until_time=days_from_now(90),
        review_time=days_from_now(30),
    )
    placed = (await office.ada.PlaceHold(hold)).hold
    assert (placed.placed_by, list(placed.groups)) == ("ada", [PACKAGE])
    request_id = await office.waits(api.REQUEST_KIND_ERASURE)
    ended = await office.approved(request_id)
    assert ended.state == RequestState.REQUEST_STATE_FULFILLED_IN_PART
    kept = {(one.store, one.ground) for task in ended.tasks for one in task.retained}
    assert ("export_parts", "legal_claims") in kept
    assert "export_parts" not in erased(ended)
    released = (await office.grace.ReleaseHold(pb.ReleaseHoldRequest(hold_id=placed.hold_id))).hold
    (resumed,) = released.resumed_request_ids
    after = await office.ended(resumed)
    assert (after.state, after.parent_id) == (RequestState.REQUEST_STATE_FULFILLED, request_id)
    assert erased(after)["export_parts"] == 1
    listed = (await office.ada.ListHolds(pb.ListHoldsRequest(with_released=True))).holds
    assert list(listed) == [released]
    assert not (await office.ada.ListHolds(pb.ListHoldsRequest(review_due=True))).holds


def erased(request: Request) -> dict[str, int]:
    tasks = [task for task in request.tasks if task.phase == Phase.PHASE_ERASE]
    return {count.store: count.count for task in tasks for count in task.counts}


async def test_an_officer_previews_extends_and_refuses(office: Office) -> None:
    request_id = await office.waits(api.REQUEST_KIND_ERASURE)
    asked = await office.ada.PreviewRequest(pb.PreviewRequestRequest(request_id=request_id))
    assert asked.preview_id
    extension = pb.ExtendRequestRequest(request_id=request_id, reasons="many systems are concerned")
    extended = (await office.ada.ExtendRequest(extension)).request
    assert extended.HasField("extended_time")
    refusal = pb.DenyRequestRequest(
        request_id=request_id, reason=pb.DENIAL_REASON_MANIFESTLY_UNFOUNDED, explanation="the ninth time this week"
    )
    denied = (await office.ada.DenyRequest(refusal)).request
    assert (denied.state, denied.reason) == (RequestState.REQUEST_STATE_DENIED, "MANIFESTLY_UNFOUNDED")


async def test_the_evidence_log_hears_of_every_decision_and_of_no_officers_name(office: Office) -> None:
    made = await office.service.nats.subscribe("igstats.privacy.v1.record.made")
    await office.service.nats.flush()
    first, second = [await office.waits(api.REQUEST_KIND_ERASURE) for _ in range(2)]
    await office.ada.ExtendRequest(pb.ExtendRequestRequest(request_id=first, reasons="many systems are concerned"))
    await office.ada.ApproveRequest(pb.ApproveRequestRequest(request_id=first))
    refusal = pb.DenyRequestRequest(
        request_id=second, reason=pb.DENIAL_REASON_MANIFESTLY_UNFOUNDED, explanation="the ninth time this week"
    )
    await office.grace.DenyRequest(refusal)
    expected = {"request.extended", "request.approved", "request.denied"}
    told: dict[str, AuditRecord] = {}
    while not expected <= set(told):
        message = RecordMade.FromString((await made.next_msg(timeout=20)).data)
        told |= {one.kind: one for one in message.records if one.kind in expected}
    officers = {kind: json.loads(one.payload_json)["officer"] for kind, one in told.items()}
    by_ada = {officers[kind] for kind in expected - {"request.denied"}}
    assert len(by_ada) == 1, "the same officer has the same id"
    assert officers["request.denied"] not in by_ada
    assert all(re.fullmatch(r"off_[0-9a-f]{32}", one) for one in officers.values())


async def test_everybody_who_may_read_a_request_reads_why_it_was_extended_and_until_when(office: Office) -> None:
    request_id, service = await office.waits(api.REQUEST_KIND_ERASURE), office.service
    status = GetStatusRequest(status_code=(await office.read(request_id)).status_code)
    mine = api.GetRequestRequest(request_id=request_id)
    before = (await service.requests.GetRequest(mine, metadata=METADATA)).request
    assert (before.extension_reasons, (await service.status.GetStatus(status)).request.extension_reasons) == ("", "")
    watch = service.requests.WatchRequest(api.WatchRequestRequest(request_id=request_id), metadata=METADATA)
    order = pb.ExtendRequestRequest(request_id=request_id, reasons="many systems are concerned")
    answered = (await office.ada.ExtendRequest(order)).request
    async for answer in watch:
        if answer.request.HasField("extended_time"):
            break
    for seen in (
        answered,
        answer.request,
        await office.read(request_id),
        (await service.status.GetStatus(status)).request,
        (await service.requests.GetRequest(mine, metadata=METADATA)).request,
    ):
        assert seen.extension_reasons == "many systems are concerned"
        assert seen.due_time.ToDatetime() > before.due_time.ToDatetime()
        assert seen.due_time == answered.due_time


async def test_only_officers_decide(office: Office) -> None:
    doors: Any = DecisionServiceStub(office.service.channel("gateway"))
    with pytest.raises(DomainError) as refused:
        await doors.ListHolds(pb.ListHoldsRequest())
    assert refused.value.reason is Reason.CALLER_NOT_ALLOWED
