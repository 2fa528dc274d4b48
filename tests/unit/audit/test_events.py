"""From events to entries: the same event gives the same ids, and nobody speaks for another."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from igstats.event.v1.events_pb2 import (
    AccessRecord,
    AccessRecorded,
    AuditRecord,
    HolderOutcome,
    ReceiptsIssued,
    RecordMade,
    RequestChanged,
    RequestClosed,
    RequestsClosed,
)
from igstats.holder.v1.receipt_pb2 import Receipt, SignedReceipt
from igstats_audit import events
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event

MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def event(subject: str, message: Message) -> Event:
    return Event("evt_1", subject, message.DESCRIPTOR.full_name, MOMENT, message.SerializeToString())


def signed(holder: str, phase: str = "ATTEST") -> SignedReceipt:
    receipt = Receipt(task_id=f"req_1/{holder}/{phase}", request_id="req_1", holder=holder)
    receipt.executed_time.FromDatetime(MOMENT)
    return SignedReceipt(receipt=receipt.SerializeToString(), signature=b"s" * 64, key_id="k")


def test_each_receipt_is_an_entry_named_by_task_and_digest() -> None:
    given = [signed("stats", "ERASE"), signed("stats")]
    found = events.receipts(event("igstats.stats.v1.receipt.issued", ReceiptsIssued(receipts=given)))
    digest = hashlib.sha256(given[1].receipt).hexdigest()
    assert [one.kind for one in found] == ["receipt.issued"] * 2
    assert found[1].entry_id == f"req_1/stats/ATTEST/{digest}"
    assert (found[1].request_id, found[1].producer, found[1].occurred_at) == ("req_1", "stats", MOMENT)
    assert SignedReceipt.FromString(found[1].payload) == given[1]


def test_a_receipt_of_another_holder_is_refused() -> None:
    forged = event("igstats.stats.v1.receipt.issued", ReceiptsIssued(receipts=[signed("gateway")]))
    with pytest.raises(DomainError) as refused:
        events.receipts(forged)
    assert refused.value.reason is Reason.RECEIPT_INVALID


def test_a_closing_is_an_entry_that_names_the_receipts_it_counts_on() -> None:
    listed = [HolderOutcome(holder="stats", receipt_digest=b"\xab"), HolderOutcome(holder="mail")]
    closed = RequestClosed(request_id="req_1", state="FULFILLED", holders=listed)
    closed.closed_time.FromDatetime(MOMENT)
    (found,) = events.closings(event("igstats.privacy.v1.request.closed", RequestsClosed(closings=[closed])))
    assert (found.entry_id, found.kind, found.request_id, found.producer) == (
        "evt_1/0",
        "request.closed",
        "req_1",
        "privacy",
    )
    assert events.named_receipts(found.kind, found.payload) == {"ab"}


def test_an_attestation_names_the_receipts_before_it() -> None:
    said = Receipt(task_id="req_1/stats/ATTEST", holder="stats", earlier_digests=[b"\xab", b"\xcd"])
    payload = SignedReceipt(receipt=said.SerializeToString()).SerializeToString()
    assert events.named_receipts("receipt.issued", payload) == {"ab", "cd"}
    assert events.named_receipts("sweep.deep", payload) == frozenset()


def test_other_changes_of_a_request_are_no_entries() -> None:
    assert events.closings(event("igstats.privacy.v1.request.changed", RequestChanged(request_id="req_1"))) == []


def test_each_record_is_an_entry_with_its_own_id() -> None:
    record = AuditRecord(kind="key.revoked", payload_json='{"key_id":"k"}')
    record.occurred_time.FromDatetime(MOMENT)
    found = events.records(event("igstats.gateway.v1.record.made", RecordMade(records=[record, record])))
    assert [(one.entry_id, one.kind, one.producer) for one in found] == [
        ("evt_1/0", "key.revoked", "gateway"),
        ("evt_1/1", "key.revoked", "gateway"),
    ]
    assert AuditRecord.FromString(found[0].payload) == record


@pytest.mark.parametrize("kind", ["receipt.issued", "request.closed", "log.cut", "../request.closed", "closed", ""])
def test_no_record_says_what_evidence_rests_on(kind: str) -> None:
    harmless, forged = AuditRecord(kind="key.revoked"), AuditRecord(kind=kind, request_id="req_1")
    with pytest.raises(DomainError) as refused:
        events.records(event("igstats.gateway.v1.record.made", RecordMade(records=[harmless, forged])))
    assert refused.value.reason is Reason.FIELD_INVALID
    assert [one.field for one in refused.value.violations] == ["records[1].kind"]


def test_no_record_takes_the_name_of_a_cut() -> None:
    made = event("igstats.gateway.v1.record.made", RecordMade(records=[AuditRecord(kind="key.revoked")]))
    with pytest.raises(DomainError) as refused:
        events.records(replace(made, id="cut/access"))
    assert [one.field for one in refused.value.violations] == ["records[0].entry_id"]


def test_calls_are_read_as_the_gateway_recorded_them() -> None:
    record = AccessRecord(call_id="req_1", account_id="acc_1", method="/a.B/C", status=5, latency_us=7)
    record.called_time.FromDatetime(MOMENT)
    (found,) = events.calls(event("igstats.gateway.v1.access.recorded", AccessRecorded(records=[record])))
    assert (found.call_id, found.account_id, found.status, found.called_at) == ("req_1", "acc_1", 5, MOMENT)


def test_entries_of_one_event_are_numbered_one_after_the_other() -> None:
    made = event("igstats.stats.v1.record.made", RecordMade(records=[AuditRecord(kind="a.b"), AuditRecord(kind="a.c")]))
    answered = event("igstats.gateway.v1.access.recorded", AccessRecorded(records=[AccessRecord(), AccessRecord()]))
    issued = event("igstats.stats.v1.receipt.issued", ReceiptsIssued(receipts=[signed("stats"), signed("stats", "X")]))
    for read, given in ((events.records, made), (events.calls, answered), (events.receipts, issued)):
        assert [one.sequence for one in read(replace(given, sequence=7))] == [7, 8]
        assert [one.sequence for one in read(given)] == [0, 0]
