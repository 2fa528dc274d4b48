"""Recipients, corrections and excerpts over gRPC, at the running service."""

import io
import json
import zipfile
from typing import Any

import pytest
from igstats.api.v1 import request_service_pb2 as api
from igstats.event.v1.events_pb2 import RequestsClosed
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1 import privacy_service_pb2 as pb
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.events import REQUEST_CLOSED

from tests.integration.privacy.served import METADATA, OTHER, Service


async def test_those_who_got_the_data_are_told_what_happened_to_it_and_nobody_else(service: Service) -> None:
    made = await service.create(kind=api.REQUEST_KIND_RESTRICTION, subject=api.Subject(username="@Ada"))
    assert (await service.watched(made.request_id))[-1].state == "FULFILLED"
    (told,) = (await service.requests.ListNotices(api.ListNoticesRequest(), metadata=OTHER)).notices
    assert told.kind == "RESTRICTED"
    assert told.HasField("told_time")
    assert not (await service.requests.ListNotices(api.ListNoticesRequest(), metadata=METADATA)).notices
    seen = (await service.office.GetRequest(pb.GetRequestRequest(request_id=made.request_id))).request.recipients
    assert [(one.category, one.account_id, one.told) for one in seen] == [("API customer", OTHER[0][1], "RESTRICTED")]
    with pytest.raises(DomainError) as refused:
        await service.requests.ListNotices(api.ListNoticesRequest(page_token="cmVxXzE"), metadata=OTHER)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID


@pytest.mark.parametrize("corrections", [[], [api.Correction(field="profiles.shoe_size", value="44")]])
async def test_what_nobody_can_correct_is_refused_before_anything_is_written(
    service: Service, corrections: list[api.Correction]
) -> None:
    subject = api.Subject(own_account=True)
    with pytest.raises(DomainError) as refused:
        await service.create(kind=api.REQUEST_KIND_CORRECTION, subject=subject, corrections=corrections)
    assert refused.value.reason is Reason.CORRECTION_NOT_POSSIBLE
    assert not (await service.requests.ListRequests(api.ListRequestsRequest(), metadata=METADATA)).requests


async def test_an_excerpt_is_an_officers_act_and_no_other_door_leads_to_it(service: Service) -> None:
    ada = Identifier(kind=IdentifierKind.IDENTIFIER_KIND_USERNAME, value="ada")
    order = pb.OpenExcerptRequest(
        idempotency_key="case-12-of-2026",
        identifiers=[ada],
        ground=pb.ExcerptGround.EXCERPT_GROUND_LEGAL_CLAIMS,
        reason="case 12 of 2026",
    )
    forged = pb.OpenRequestRequest(
        idempotency_key="case-13-of-2026", right=Right.RIGHT_ACCESS, identifiers=[ada], door="excerpt"
    )
    canary = pb.OpenRequestRequest(
        idempotency_key="case-14-of-2026", right=Right.RIGHT_ERASURE, identifiers=[ada], door="canary"
    )
    gateway: Any = PrivacyServiceStub(service.channel("gateway"))
    for call, reason in (
        (gateway.OpenExcerpt(order), Reason.CALLER_NOT_ALLOWED),
        (service.office.OpenExcerpt(order), Reason.FIELD_INVALID),
        (service.office.OpenRequest(forged), Reason.FIELD_INVALID),
        (service.office.OpenRequest(canary), Reason.FIELD_INVALID),
    ):
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason is reason
    restriction = await service.create(kind=api.REQUEST_KIND_RESTRICTION, subject=api.Subject(username="ada"))
    assert (await service.watched(restriction.request_id))[-1].state == "FULFILLED"
    closings = await service.nats.subscribe(REQUEST_CLOSED)
    await service.nats.flush()
    opened = (await service.office.OpenExcerpt(order)).request
    closed = ""
    while closed != opened.request_id:
        (closing,) = RequestsClosed.FromString((await closings.next_msg(timeout=10)).data).closings
        closed = closing.request_id
    pieces = service.office.ReadExcerpt(pb.ReadExcerptRequest(request_id=opened.request_id))
    archive = zipfile.ZipFile(io.BytesIO(b"".join([answer.chunk async for answer in pieces])))
    history = [json.loads(line) for line in archive.read("privacy/requests.jsonl").splitlines()]
    assert {(one["right"], one["door"]) for one in history} == {("RESTRICTION", "api"), ("ACCESS", "excerpt")}
