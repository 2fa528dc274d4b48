"""The model's words are the protos' words, and what a holder signed is read without believing it."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from igstats.api.v1 import request_service_pb2 as api
from igstats.holder.v1.receipt_pb2 import Outcome as SentOutcome
from igstats.holder.v1.receipt_pb2 import Receipt, Retained, SignedReceipt
from igstats.holder.v1.task_pb2 import Phase as SentPhase
from igstats.holder.v1.task_pb2 import Right as SentRight
from igstats.privacy.v1.request_pb2 import Regime, RequestState, SubjectClass, TaskState, Wait
from igstats_kit.errors import DomainError, Reason
from igstats_privacy import messages, model, public_messages
from igstats_privacy.model import Cause, Identifier, Outcome, Phase, Right, Task
from igstats_privacy.receipts import objection

ACCOUNT = "acc_01jd3zmg6m0000000000000000"


@pytest.mark.parametrize(
    ("ours", "prefix", "theirs"),
    [
        (model.Right, "RIGHT_", SentRight),
        (model.Phase, "PHASE_", SentPhase),
        (model.Outcome, "OUTCOME_", SentOutcome),
        (model.State, "REQUEST_STATE_", RequestState),
        (model.TaskState, "TASK_STATE_", TaskState),
        (model.Regime, "REGIME_", Regime),
        (model.SubjectClass, "SUBJECT_CLASS_", SubjectClass),
        (model.Wait, "WAIT_", Wait),
    ],
)
def test_the_model_has_the_protos_words(ours: type[StrEnum], prefix: str, theirs: Any) -> None:
    assert {f"{prefix}{name}" for name in ours} | {f"{prefix}UNSPECIFIED"} == set(theirs.keys())


def test_accounts_can_ask_for_every_right_but_the_officers_preview() -> None:
    public = {name.removeprefix("REQUEST_KIND_") for name in api.RequestKind.keys()} - {"UNSPECIFIED"}  # noqa: SIM118 - not a dict
    assert public == set(model.Right) - {model.Right.PREVIEW}


def said(**changes: Any) -> Receipt:
    receipt = Receipt(
        task_id="req_1/stats/ERASE",
        request_id="req_1",
        holder="stats",
        right=SentRight.RIGHT_ERASURE,
        phase=SentPhase.PHASE_ERASE,
        outcome=SentOutcome.OUTCOME_ERASED,
    )
    for name, value in changes.items():
        setattr(receipt, name, value)
    return receipt


def read(receipt: Receipt) -> model.Receipt | None:
    return messages.read_receipt(SignedReceipt(receipt=receipt.SerializeToString(), key_id="k"), receipt)


def test_a_receipt_is_read_with_the_digest_of_its_bytes() -> None:
    receipt = said()
    receipt.effective_time.FromDatetime(datetime(2026, 1, 8))  # noqa: DTZ001 - protobuf takes naive UTC
    found = read(receipt)
    assert found is not None
    assert (str(found.task), found.right, found.outcome) == ("req_1/stats/ERASE", Right.ERASURE, Outcome.ERASED)
    assert found.effective_at == datetime(2026, 1, 8, tzinfo=UTC)
    assert found.digest == hashlib.sha256(receipt.SerializeToString()).digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"task_id": "req_1/stats"},
        {"task_id": "req_1/stats/DANCE"},
        {"task_id": "/stats/ERASE"},
        {"request_id": "req_2"},
        {"holder": "gateway"},
        {"phase": SentPhase.PHASE_SWEEP},
        {"phase": 99},
        {"right": 0},
        {"right": 99},
        {"outcome": 0},
        {"outcome": 99},
    ],
)
def test_a_receipt_that_contradicts_itself_or_is_not_understood_is_no_receipt(changes: dict[str, Any]) -> None:
    assert read(said(**changes)) is None


def test_a_receipt_speaks_for_its_publisher_only() -> None:
    found = read(said())
    assert found is not None
    assert objection("stats", found) == ""
    assert objection("gateway", found) == "holder"


def test_what_stays_and_what_needs_a_person_is_said_in_words() -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    receipt = said(explanation="the disk is full")
    task = Task("stats", Phase.ERASE, model.TaskState.BLOCKED, Outcome.NEEDS_HUMAN, Cause.NEEDS_HUMAN, 1, None, b"")
    assert messages.explanation(task, receipt) == "the disk is full"
    late = Task("stats", Phase.ERASE, model.TaskState.BLOCKED, None, Cause.LATE, 1, None, b"")
    assert messages.explanation(late, Receipt()) == "the holder has not settled this in time"
    kept = Retained(store="invoices", ground="tax law", count=2, until_time=messages.stamp(until))
    settled = Task("gateway", Phase.ERASE, model.TaskState.SETTLED, Outcome.RETAINED, None, 1, until, b"")
    assert messages.explanation(settled, Receipt(retained=[kept])) == "invoices stays (tax law) until 2030-01-01"


def test_a_public_request_names_persons_by_every_field_that_is_set() -> None:
    subject = api.Subject(
        instagram_user_id="17841400000000001", username="@ada", contact_id=f"con_{ACCOUNT[4:]}_1", own_account=True
    )
    request = api.CreateRequestRequest(request_key="k", kind=api.REQUEST_KIND_ACCESS, subject=subject)
    new = public_messages.new_request(request, ACCOUNT)
    assert (new.right, new.door, new.account_id, new.idempotency_key) == (Right.ACCESS, "api", ACCOUNT, "k")
    assert new.identifiers == (
        Identifier("INSTAGRAM_USER_ID", "17841400000000001"),
        Identifier("USERNAME", "@ada"),
        Identifier("CONTACT_ID", f"con_{ACCOUNT[4:]}_1"),
        Identifier("ACCOUNT_ID", ACCOUNT),
    )


def test_a_request_without_a_key_gets_one_of_its_own() -> None:
    request = api.CreateRequestRequest(kind=api.REQUEST_KIND_ACCESS, subject=api.Subject(own_account=True))
    keys = {public_messages.new_request(request, ACCOUNT).idempotency_key for _ in range(3)}
    assert len(keys) == 3


def test_a_contact_of_another_account_is_refused_by_its_id_alone() -> None:
    request = api.CreateRequestRequest(
        kind=api.REQUEST_KIND_ERASURE, subject=api.Subject(contact_id="con_01jd3zmg6m0000000000000001_1")
    )
    with pytest.raises(DomainError) as refused:
        public_messages.new_request(request, ACCOUNT)
    assert [violation.field for violation in refused.value.violations] == ["subject.contact_id"]


@pytest.mark.parametrize("request_id", ["", "req_01jd3zmg6m0000000000000000"])
def test_a_page_token_leads_back_to_its_place(request_id: str) -> None:
    assert public_messages.read_page_token(public_messages.page_token(request_id)) == request_id


@pytest.mark.parametrize("token", ["!", "eA", "_w", "a" * 5])
def test_a_page_token_of_somebody_elses_is_refused(token: str) -> None:
    with pytest.raises(DomainError) as refused:
        public_messages.read_page_token(token)
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID
