"""Completeness: the closing entry lists every registered holder, and each of them has attested what it did."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.protobuf.message import DecodeError
from igstats.event.v1.events_pb2 import HolderOutcome, RequestClosed
from igstats.holder.v1.task_pb2 import Right

from igstats_client.entries import Opened
from igstats_client.receipts import Heard, time_of
from igstats_client.verdict import Check, Findings, Statement

KIND = "request.closed"
_PRODUCER = "privacy"
_WHERE = "closing"
_FULFILLED = frozenset({"FULFILLED", "FULFILLED_IN_PART"})
_ENDED = _FULFILLED | {"DENIED", "WITHDRAWN", "EXPIRED"}
_ATTEST = "ATTEST"
_PHASES: Mapping[int, tuple[str, ...]] = {
    Right.RIGHT_ERASURE: ("FENCE", "ERASE", "SWEEP", _ATTEST),
    Right.RIGHT_ACCESS: ("EXPORT", _ATTEST),
    Right.RIGHT_RESTRICTION: ("RESTRICT", _ATTEST),
    Right.RIGHT_LIFTING: ("LIFT", _ATTEST),
}
_DECISIVE: Mapping[int, frozenset[str]] = {
    Right.RIGHT_ERASURE: frozenset({"ERASED", "NOT_HELD", "RETAINED", "AWAITING_PROCESSOR"}),
    Right.RIGHT_ACCESS: frozenset({"EXPORTED", "NOT_HELD"}),
    Right.RIGHT_RESTRICTION: frozenset({"RESTRICTED", "NOT_HELD"}),
    Right.RIGHT_LIFTING: frozenset({"LIFTED", "NOT_HELD"}),
}
_PREPARING = frozenset({"FENCE", "SWEEP"})
# Clocks of two services may differ by so much.
_SKEW = timedelta(minutes=5)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Closing:
    """How the request ended, as privacy told the log."""

    state: str
    message: RequestClosed

    @property
    def fulfilled(self) -> bool:
        """Whether the holders had to act."""
        return self.state in _FULFILLED

    @property
    def closed_time(self) -> datetime:
        """When it ended."""
        return time_of(self.message.closed_time)


def read_closing(opened: Sequence[Opened], request_id: str, findings: Findings) -> Closing | None:
    """Finds the one closing entry of the request."""
    entries = [entry for entry in opened if entry.kind == KIND]
    if len(entries) != 1:
        check = Check.CLOSING_REPEATED if entries else Check.CLOSING_MISSING
        findings.note(check, _WHERE, f"a request that has ended has one closing entry, this one has {len(entries)}")
        return None
    entry = entries[0]
    try:
        message = RequestClosed.FromString(entry.payload)
        time_of(message.closed_time)
    except (DecodeError, ValueError, OverflowError):
        findings.note(Check.PAYLOAD_MALFORMED, entry.where, "the payload is not a closing")
        return None
    if entry.producer != _PRODUCER:
        findings.note(Check.PRODUCER, entry.where, f"{entry.producer} closed the request, not {_PRODUCER}")
    if message.request_id != request_id:
        findings.note(Check.REQUEST, entry.where, f"the closing is of request {message.request_id}")
    if not entry.minute <= time_of(message.closed_time) < entry.minute + _MINUTE:
        findings.note(Check.LEAF_TIME, entry.where, "the closing and the log name different times")
    state = message.state.removeprefix("REQUEST_STATE_")
    if state not in _ENDED:
        findings.note(Check.STATE_UNKNOWN, entry.where, f"no request ends as {state or 'nothing'}")
    return Closing(state, message)


def check_holders(
    closing: Closing, receipts: Sequence[Heard], registered: frozenset[str], findings: Findings
) -> list[Statement]:
    """Checks what the closing lists against receipts and keys; returns the last word of each holder that has one."""
    if not closing.fulfilled:
        return []
    by_holder: dict[str, list[Heard]] = defaultdict(list)
    for heard in receipts:
        by_holder[heard.receipt.holder].append(heard)
    _check_list(closing.message.holders, set(by_holder), registered, findings)
    if len({heard.receipt.right for heard in receipts}) > 1:
        findings.note(Check.RIGHT_MISMATCH, _WHERE, "the receipts are about different rights")
    statements = [
        _check_holder(closing, listed, by_holder[listed.holder], findings) for listed in closing.message.holders
    ]
    return [statement for statement in statements if statement is not None]


def _check_list(
    listed: Sequence[HolderOutcome], heard: set[str], registered: frozenset[str], findings: Findings
) -> None:
    counts = Counter(one.holder for one in listed)
    if not counts:
        findings.note(Check.CLOSING_EMPTY, _WHERE, "the closing of a fulfilled request lists no holder")
        return
    for holder, count in counts.items():
        if count > 1:
            findings.note(Check.CLOSING_REPEATED, _WHERE, f"{holder} is listed {count} times")
    for holder in sorted(heard - set(counts)):
        findings.note(Check.HOLDER_UNLISTED, _WHERE, f"{holder} has receipts, but the closing does not list it")
    for holder in sorted(registered - set(counts) - heard):
        findings.note(Check.HOLDER_UNLISTED, _WHERE, f"{holder} is registered, but the closing does not list it")


def _check_holder(
    closing: Closing, listed: HolderOutcome, receipts: Sequence[Heard], findings: Findings
) -> Statement | None:
    attests = [heard for heard in receipts if heard.phase == _ATTEST]
    final = next((heard for heard in attests if heard.digest == listed.receipt_digest), None)
    if final is None:
        check = Check.ATTESTATION_DIGEST if attests else Check.ATTESTATION_MISSING
        findings.note(check, listed.holder, "the closing names no attestation that is among the entries")
        return None
    _check_chain(final, receipts, findings)
    _check_outcomes(closing, listed, final, receipts, findings)
    _check_times(closing, listed.holder, receipts, findings)
    return _statement(final, receipts)


def _check_chain(final: Heard, receipts: Sequence[Heard], findings: Findings) -> None:
    holder = final.receipt.holder
    missing = set(final.receipt.earlier_digests) - {heard.digest for heard in receipts}
    if missing:
        findings.note(Check.RECEIPT_CHAIN, holder, f"the attestation names {len(missing)} receipts that are not here")
    phases = {heard.phase for heard in receipts}
    for phase in _PHASES.get(final.receipt.right, (_ATTEST,)):
        if phase not in phases:
            findings.note(Check.PHASE_MISSING, holder, f"there is no receipt of phase {phase}")


def _check_outcomes(
    closing: Closing, listed: HolderOutcome, final: Heard, receipts: Sequence[Heard], findings: Findings
) -> None:
    outcome = final.outcome
    if listed.outcome.removeprefix("OUTCOME_") != outcome:
        text = f"the closing says {listed.outcome}, the holder {outcome}"
        findings.note(Check.OUTCOME_MISMATCH, listed.holder, text)
    if outcome == "RETAINED" and closing.state == "FULFILLED":
        findings.note(Check.OUTCOME_MISMATCH, listed.holder, "data is retained, but the request ended as FULFILLED")
    latest = {heard.phase: heard for heard in receipts}
    for phase, heard in latest.items():
        if heard.outcome == "NEEDS_HUMAN":
            findings.note(Check.OUTCOME_UNSETTLED, listed.holder, f"phase {phase} ended with NEEDS_HUMAN")

    for heard in receipts:
        allowed = frozenset({"DONE"}) if heard.phase in _PREPARING else _DECISIVE.get(heard.receipt.right, frozenset())
        if heard.outcome != "NEEDS_HUMAN" and heard.outcome not in allowed:
            findings.note(Check.OUTCOME_IMPOSSIBLE, heard.where, f"no {heard.phase} ends with {heard.outcome}")


def _check_times(closing: Closing, holder: str, receipts: Sequence[Heard], findings: Findings) -> None:
    """Each holder did its phases one after the other, and all of it before the request was closed."""
    latest = {heard.phase: heard for heard in receipts}
    order = [phase for phase in _PHASES.get(receipts[0].receipt.right, ()) if phase in latest]
    times = [latest[phase].executed for phase in order]
    if times != sorted(times):
        findings.note(Check.TIME_ORDER, holder, f"its phases are not in the order {', '.join(order)}")
    if max(heard.executed for heard in receipts) > closing.closed_time + _SKEW:
        findings.note(Check.TIME_ORDER, holder, "it has done something after the request was closed")


def _statement(final: Heard, receipts: Sequence[Heard]) -> Statement:
    said = final.receipt
    later = time_of(said.effective_time) if said.HasField("effective_time") else None
    return Statement(
        holder=said.holder,
        outcome=final.outcome,
        counts=tuple((one.store, one.count) for one in said.counts),
        retained=tuple(f"{one.store}: {one.ground}" for one in said.retained),
        executed_time=final.executed,
        effective_time=later,
        phases=tuple(heard.phase for heard in receipts),
    )
