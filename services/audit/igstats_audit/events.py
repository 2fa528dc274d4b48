"""What the audit service hears on NATS, and the stream it owns."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.event.v1.events_pb2 import (
    AccessRecord,
    AccessRecorded,
    ReceiptsIssued,
    RecordMade,
    RequestClosed,
    RequestsClosed,
)
from igstats.holder.v1.receipt_pb2 import Receipt, SignedReceipt
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event, Stream, Subscription

from igstats_audit.evidence import receipt_entry_id, require_free
from igstats_audit.model import RECEIPT_ISSUED, REQUEST_CLOSED, CallRecord, NewEntry
from igstats_audit.tables import RECORD_DAYS, RECORDS_DATA

RECEIPTS = Subscription("RECEIPTS", "audit-receipts", "igstats.*.v1.receipt.issued")
REQUESTS = Subscription("REQUESTS", "audit-requests", "igstats.privacy.v1.request.closed")
RECORDS = Subscription("RECORDS", "audit-records", "igstats.*.v1.record.made")
CALLS = Subscription("ACCESS", "audit-access", "igstats.gateway.v1.access.recorded")

RECORDS_STREAM = Stream(
    name=RECORDS.stream, subjects=(RECORDS.subject,), max_age=timedelta(days=RECORD_DAYS), data=RECORDS_DATA
)


def publisher(event: Event) -> str:
    """The service that published an event: NATS lets each speak under its own name only."""
    return event.subject.split(".")[1]


def numbered(event: Event, at: int) -> int:
    """The producer's number of an entry in an event: those of one event follow each other. 0 when it gave none."""
    return event.sequence + at if event.sequence else 0


def receipts(event: Event) -> list[NewEntry]:
    """An entry for each receipt.

    Raises:
        DomainError: RECEIPT_INVALID; a holder speaks for another.
    """
    issued = ReceiptsIssued.FromString(event.data).receipts
    return [_receipt(signed, publisher(event), numbered(event, at)) for at, signed in enumerate(issued)]


def _receipt(signed: SignedReceipt, holder: str, sequence: int) -> NewEntry:
    receipt = Receipt.FromString(signed.receipt)
    if receipt.holder != holder:
        raise DomainError(Reason.RECEIPT_INVALID, check="holder")
    return NewEntry(
        entry_id=receipt_entry_id(receipt.task_id, hashlib.sha256(signed.receipt).digest()),
        kind=RECEIPT_ISSUED,
        request_id=receipt.request_id,
        producer=holder,
        payload=signed.SerializeToString(deterministic=True),
        occurred_at=_time(receipt.executed_time),
        sequence=sequence,
    )


def closings(event: Event) -> list[NewEntry]:
    """An entry for each closed request; nothing for other changes."""
    if event.type != RequestsClosed.DESCRIPTOR.full_name:
        return []
    return [
        NewEntry(
            entry_id=f"{event.id}/{number}",
            kind=REQUEST_CLOSED,
            request_id=closed.request_id,
            producer=publisher(event),
            payload=closed.SerializeToString(deterministic=True),
            occurred_at=_time(closed.closed_time),
            sequence=numbered(event, number),
        )
        for number, closed in enumerate(RequestsClosed.FromString(event.data).closings)
    ]


def records(event: Event) -> list[NewEntry]:
    """An entry for each audit record.

    Raises:
        DomainError: FIELD_INVALID; a record gives itself out for a receipt, a closing or a cut.
    """
    found = [
        NewEntry(
            entry_id=f"{event.id}/{number}",
            kind=record.kind,
            request_id=record.request_id,
            producer=publisher(event),
            payload=record.SerializeToString(deterministic=True),
            occurred_at=_time(record.occurred_time),
            sequence=numbered(event, number),
        )
        for number, record in enumerate(RecordMade.FromString(event.data).records)
    ]
    require_free(found, "records")
    return found


def calls(event: Event) -> list[CallRecord]:
    """The calls that the gateway answered."""
    recorded = AccessRecorded.FromString(event.data).records
    return [_call(record, numbered(event, at)) for at, record in enumerate(recorded)]


def _call(record: AccessRecord, sequence: int) -> CallRecord:
    return CallRecord(
        call_id=record.call_id,
        account_id=record.account_id,
        key_id=record.key_id,
        method=record.method,
        protocol=record.protocol,
        status=record.status,
        reason=record.reason,
        called_at=_time(record.called_time),
        latency_us=record.latency_us,
        sealed_client=record.sealed_client,
        signed=record.signed,
        sequence=sequence,
    )


def named_receipts(kind: str, payload: bytes) -> frozenset[str]:
    """Digests (hex) of the receipts that an entry names: a closing each last one, an attestation those before it."""
    digests: Iterable[bytes] = ()
    if kind == REQUEST_CLOSED:
        digests = (one.receipt_digest for one in RequestClosed.FromString(payload).holders)
    elif kind == RECEIPT_ISSUED:
        digests = Receipt.FromString(SignedReceipt.FromString(payload).receipt).earlier_digests
    return frozenset(digest.hex() for digest in digests if digest)


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
