"""The whole service: its real wiring over mutual TLS, NATS and PostgreSQL, with itself and one more as holders."""

import asyncio
import io
import json
import zipfile
from typing import Any

import pytest
from igstats.api.v1 import request_service_pb2 as api
from igstats.api.v1.request_service_pb2_grpc import RequestServiceStub
from igstats.event.v1.events_pb2 import RequestsClosed
from igstats.holder.v1 import holder_tasks_service_pb2 as holder_pb
from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceStub
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats.privacy.v1 import privacy_service_pb2 as pb
from igstats.privacy.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from igstats.privacy.v1.request_pb2 import RequestState
from igstats.privacy.v1.status_service_pb2 import (
    DescribeCategoriesRequest,
    GetOptOutRequest,
    GetStatusRequest,
    ReadEvidenceRequest,
    WithdrawByCodeRequest,
)
from igstats_kit.errors import DomainError, Reason
from igstats_kit.holder import HolderRunner
from igstats_privacy.app import check, migrate_database
from igstats_privacy.events import REQUEST_CLOSED

from tests.integration.privacy.conftest import ACCOUNT
from tests.integration.privacy.served import METADATA, OTHER, MakeConfig, Service


async def test_an_account_is_deleted_at_every_holder_and_watched_to_its_end(
    service: Service, gateway: HolderRunner
) -> None:
    assert gateway.durable == "gateway-tasks"
    closings = await service.nats.subscribe(REQUEST_CLOSED)
    await service.nats.flush()
    made = await service.create(kind=api.REQUEST_KIND_ERASURE, subject=api.Subject(own_account=True))
    assert made.state == "RECEIVED"
    seen = await service.watched(made.request_id)
    assert (seen[-1].state, seen[-1].blocked) == ("FULFILLED", False)
    assert {(step.holder, step.phase) for step in seen[-1].steps} == {
        (holder, phase) for holder in ("gateway", "privacy") for phase in ("FENCE", "ERASE", "SWEEP", "ATTEST")
    }
    assert {step.state for step in seen[-1].steps} == {"SETTLED"}
    (closed,) = RequestsClosed.FromString((await closings.next_msg(timeout=10)).data).closings
    assert closed.request_id == made.request_id
    assert [(word.holder, word.outcome) for word in closed.holders] == [
        ("gateway", "OUTCOME_NOT_HELD"),
        ("privacy", "OUTCOME_NOT_HELD"),
    ]


async def test_a_second_deletion_of_a_connected_person_ends_well_too(service: Service, gateway: HolderRunner) -> None:
    assert gateway.durable == "gateway-tasks"
    subject = api.Subject(username="@Ada")
    made = [await service.create(kind=api.REQUEST_KIND_ERASURE, subject=subject) for _ in range(2)]
    ends = await asyncio.gather(*(service.watched(one.request_id) for one in made))
    assert [seen[-1].state for seen in ends] == ["FULFILLED", "FULFILLED"]


async def test_an_access_package_holds_the_persons_own_cases(service: Service) -> None:
    made = await service.create(kind=api.REQUEST_KIND_ACCESS, subject=api.Subject(own_account=True))
    assert (await service.watched(made.request_id))[-1].state == "FULFILLED"
    answers = service.requests.GetExport(api.GetExportRequest(request_id=made.request_id), metadata=METADATA)
    archive = zipfile.ZipFile(io.BytesIO(b"".join([answer.chunk async for answer in answers])))
    (case,) = [json.loads(line) for line in archive.read("privacy/requests.jsonl").splitlines()]
    assert (case["request_id"], case["reference"], case["right"]) == (made.request_id, made.reference, "ACCESS")
    again = await service.create(kind=api.REQUEST_KIND_ERASURE, subject=api.Subject(own_account=True))
    end = (await service.watched(again.request_id))[-1]
    (erased,) = [step for step in end.steps if (step.holder, step.phase) == ("privacy", "ERASE")]
    assert dict(erased.counts) == {"exports": 1, "export_shares": 1, "export_parts": 1}
    with pytest.raises(DomainError) as refused:
        await anext(service.requests.GetExport(api.GetExportRequest(request_id=made.request_id), metadata=METADATA))
    assert refused.value.reason is Reason.EXPORT_EXPIRED


async def test_strangers_wait_for_an_officer_who_proves_them(service: Service) -> None:
    made = await service.create(kind=api.REQUEST_KIND_RESTRICTION, subject=api.Subject(username="somebody"))
    watch = service.requests.WatchRequest(api.WatchRequestRequest(request_id=made.request_id), metadata=METADATA)
    async for answer in watch:
        if answer.request.state == "IDENTITY_PENDING":
            break
    found = await service.office.GetRequest(pb.GetRequestRequest(request_id=made.request_id))
    assert found.request.account_id == ACCOUNT
    confirm = pb.ConfirmIdentityRequest(request_id=made.request_id, identity_proof="passport seen")
    await service.office.ConfirmIdentity(confirm)
    assert (await service.watched(made.request_id))[-1].state == "FULFILLED"


async def test_officers_open_list_withdraw_and_switch(service: Service) -> None:
    person = Identifier(kind=IdentifierKind.IDENTIFIER_KIND_EMAIL, value="ada@example.com")
    opened = pb.OpenRequestRequest(
        idempotency_key="letter-0001", right=Right.RIGHT_ERASURE, identifiers=[person], door="officer"
    )
    made = (await service.office.OpenRequest(opened)).request
    assert (await service.office.OpenRequest(opened)).request.request_id == made.request_id
    listed = await service.office.ListRequests(pb.ListRequestsRequest())
    assert [one.request_id for one in listed.requests] == [made.request_id]
    withdrawn = await service.office.WithdrawRequest(pb.WithdrawRequestRequest(request_id=made.request_id))
    assert withdrawn.request.state == RequestState.REQUEST_STATE_WITHDRAWN
    switched = await service.office.SetHolderEnabled(pb.SetHolderEnabledRequest(holder="privacy", enabled=False))
    assert not switched.holder.enabled
    (holder,) = (await service.office.ListHolders(pb.ListHoldersRequest())).holders
    assert (holder.holder, holder.enabled, len(holder.public_key)) == ("privacy", False, 32)
    described = await service.office.DescribeProcessing(pb.DescribeProcessingRequest())
    assert {"requests", "exports", "TASKS"} <= {store.store for store in described.holders[0].stores}


async def test_a_switched_off_holder_shows_to_the_account_and_goes_on_when_it_is_back(service: Service) -> None:
    await service.office.SetHolderEnabled(pb.SetHolderEnabledRequest(holder="privacy", enabled=False))
    made = await service.create(kind=api.REQUEST_KIND_ERASURE, subject=api.Subject(own_account=True))
    watch = service.requests.WatchRequest(api.WatchRequestRequest(request_id=made.request_id), metadata=METADATA)
    async for answer in watch:
        if answer.request.blocked:
            break
    assert [step.explanation for step in answer.request.steps if step.state == "BLOCKED"] == [
        "the holder is switched off"
    ]
    await service.office.SetHolderEnabled(pb.SetHolderEnabledRequest(holder="privacy", enabled=True))
    assert (await service.watched(made.request_id))[-1].state == "FULFILLED"


async def test_requests_of_another_account_and_wrong_fields_are_refused(service: Service) -> None:
    made = await service.create(
        request_key="key-1", kind=api.REQUEST_KIND_ERASURE, subject=api.Subject(contact_id=f"con_{ACCOUNT[4:]}_1")
    )
    requests: Any = service.requests
    calls: list[tuple[Reason, Any]] = [
        (
            Reason.REQUEST_NOT_FOUND,
            requests.GetRequest(api.GetRequestRequest(request_id=made.request_id), metadata=OTHER),
        ),
        (
            Reason.REQUEST_NOT_FOUND,
            requests.GetEvidence(api.GetEvidenceRequest(request_id=made.request_id), metadata=OTHER),
        ),
        (Reason.PAGE_TOKEN_INVALID, requests.ListRequests(api.ListRequestsRequest(page_token="!"), metadata=METADATA)),
        (Reason.PAGE_TOKEN_INVALID, requests.ListRequests(api.ListRequestsRequest(page_token="eA"), metadata=METADATA)),
        (
            Reason.FIELD_INVALID,
            service.create(kind=api.REQUEST_KIND_ERASURE, subject=api.Subject(contact_id="con_x_1")),
        ),
        (Reason.SUBJECT_UNIDENTIFIED, service.create(kind=api.REQUEST_KIND_ERASURE, subject=api.Subject())),
        (
            Reason.IDEMPOTENCY_KEY_REUSED,
            service.create(request_key="key-1", kind=api.REQUEST_KIND_ACCESS, subject=api.Subject(own_account=True)),
        ),
        (
            Reason.FIELD_INVALID,
            service.office.RetryTask(pb.RetryTaskRequest(request_id=made.request_id, holder="stats")),
        ),
    ]
    for reason, call in calls:
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason is reason
    listed = await requests.ListRequests(api.ListRequestsRequest(), metadata=METADATA)
    assert [one.request_id for one in listed.requests] == [made.request_id]
    assert not (await requests.ListRequests(api.ListRequestsRequest(), metadata=OTHER)).requests


async def test_callers_are_who_their_certificates_say(service: Service) -> None:
    holders: Any = HolderTasksServiceStub(service.channel("stats"))
    doors: Any = PrivacyServiceStub(service.channel("gateway"))
    confirmed = pb.ConfirmIdentityRequest(request_id="req_1", identity_proof="passport")
    calls: list[tuple[Reason, Any]] = [
        (Reason.CALLER_NOT_ALLOWED, PrivacyServiceStub(service.channel("stats")).ListHolders(pb.ListHoldersRequest())),
        (
            Reason.CALLER_NOT_ALLOWED,
            RequestServiceStub(service.channel("stats")).ListRequests(api.ListRequestsRequest()),
        ),
        (Reason.CALLER_NOT_ALLOWED, service.requests.ListRequests(api.ListRequestsRequest())),
        (Reason.CALLER_NOT_ALLOWED, doors.ConfirmIdentity(confirmed)),
        (Reason.CALLER_NOT_ALLOWED, doors.SetHolderEnabled(pb.SetHolderEnabledRequest(holder="privacy"))),
        (
            Reason.TASK_NOT_OWNED,
            holders.LeaseTasks(holder_pb.LeaseTasksRequest(holder="privacy", task_ids=["req_1/privacy/FENCE"])),
        ),
        (Reason.TASK_NOT_OWNED, holders.ListErasures(holder_pb.ListErasuresRequest(holder="privacy"))),
        (Reason.HOLDER_UNKNOWN, holders.ListErasures(holder_pb.ListErasuresRequest(holder="stats"))),
    ]
    for reason, call in calls:
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason is reason


async def test_check_prints_the_settings_and_migrate_can_be_repeated(
    config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    await config("privacy")
    await migrate_database()
    await check()
    printed = capsys.readouterr().out
    assert '"backup_days"' in printed
    assert "[redacted]" in printed


def test_phases_and_states_carry_the_names_of_the_protos() -> None:
    assert {f"PHASE_{name}" for name in ("FENCE", "ERASE", "SWEEP", "ATTEST")} <= set(Phase.keys())


async def test_a_status_code_opens_its_request_and_tells_nothing_of_the_person(service: Service) -> None:
    wanted = pb.OpenRequestRequest(
        idempotency_key="web-form-0001",
        right=Right.RIGHT_ERASURE,
        identifiers=[Identifier(kind=IdentifierKind.IDENTIFIER_KIND_EMAIL, value="ada@example.com")],
        door="web",
    )
    doors: Any = PrivacyServiceStub(service.channel("gateway"))
    opened = (await doors.OpenRequest(wanted, timeout=10)).request
    found = await service.status.GetStatus(GetStatusRequest(status_code=opened.status_code.upper()))
    assert found.request.request_id == opened.request_id
    assert not found.request.tasks
    assert "ada" not in str(found)
    withdrawn = await service.status.WithdrawByCode(WithdrawByCodeRequest(status_code=opened.status_code))
    assert withdrawn.request.state == RequestState.REQUEST_STATE_WITHDRAWN
    again = await service.status.GetStatus(GetStatusRequest(status_code=opened.status_code))
    assert again.request.state == RequestState.REQUEST_STATE_WITHDRAWN


async def test_a_guessed_status_code_opens_nothing(service: Service) -> None:
    guess = "0" * 52
    for call in (
        service.status.GetStatus(GetStatusRequest(status_code=guess)),
        service.status.WithdrawByCode(WithdrawByCodeRequest(status_code=guess)),
        aiter(service.status.ReadEvidence(ReadEvidenceRequest(status_code=guess))).__anext__(),
    ):
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason is Reason.STATUS_CODE_UNKNOWN


async def test_categories_are_what_the_holders_declare(service: Service, gateway: HolderRunner) -> None:
    assert gateway.durable == "gateway-tasks"
    found = await service.status.DescribeCategories(DescribeCategoriesRequest())
    identifiers = next(one for one in found.categories if one.category == "identifiers")
    assert "answer requests about personal data and prove the answer" in identifiers.purposes
    assert not any(one.sold for one in found.categories)


async def test_nobody_has_opted_out_who_has_not_said_so(service: Service) -> None:
    person = Identifier(kind=IdentifierKind.IDENTIFIER_KIND_EMAIL, value="eve@example.com")
    found = await service.officers_status.GetOptOut(GetOptOutRequest(identifiers=[person]))
    assert (found.opted_out, found.objected, found.door) == (False, False, "")
