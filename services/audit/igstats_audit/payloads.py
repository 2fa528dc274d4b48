"""Reads what entries of the evidence log hold: receipts and closings, from the bytes that the log committed to."""

import hashlib
from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.event.v1.events_pb2 import RequestClosed
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, Retained, SignedReceipt
from igstats.holder.v1.task_pb2 import Phase, Right

from igstats_audit.statements import Closing, Kept, LastWord, Statement

_SIGNED_DOMAIN = b"igstats/receipt/v1\n"


def read_receipt(payload: bytes) -> Statement | None:
    """What a holder stated and signed; None when it is no receipt that can be read: then the entry stands alone."""
    try:
        signed = SignedReceipt.FromString(payload)
        return _statement(signed, Receipt.FromString(signed.receipt))
    except (DecodeError, ValueError, OverflowError):
        return None


def _statement(signed: SignedReceipt, said: Receipt) -> Statement:
    return Statement(
        holder=said.holder,
        right=Right.Name(said.right).removeprefix("RIGHT_"),
        phase=Phase.Name(said.phase).removeprefix("PHASE_"),
        outcome=Outcome.Name(said.outcome).removeprefix("OUTCOME_"),
        counts=tuple((one.store, one.count) for one in said.counts),
        kept=tuple(map(_kept, said.retained)),
        executed_at=_time(said.executed_time),
        effective_at=_time(said.effective_time) if said.HasField("effective_time") else None,
        digest=hashlib.sha256(signed.receipt).digest(),
        key_id=signed.key_id,
        signed=_SIGNED_DOMAIN + signed.receipt,
        signature=signed.signature,
    )


def read_closing(payload: bytes) -> Closing:
    """How privacy closed the request."""
    closed = RequestClosed.FromString(payload)
    words = [LastWord(one.holder, one.outcome.removeprefix("OUTCOME_"), one.receipt_digest) for one in closed.holders]
    return Closing(closed.state.removeprefix("REQUEST_STATE_"), _time(closed.closed_time), tuple(words))


def _kept(one: Retained) -> Kept:
    until = _time(one.until_time) if one.HasField("until_time") else None
    return Kept(one.store, tuple(one.fields), one.ground, one.count, until)


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
