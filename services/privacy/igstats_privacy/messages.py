"""Between protos and the model, for holders, officers and events."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.holder.v1 import description_pb2, holder_tasks_service_pb2, identifier_pb2, receipt_pb2, task_pb2
from igstats.privacy.v1 import privacy_service_pb2, request_pb2
from igstats_kit.describe import digest
from igstats_kit.receipt import key_id

from igstats_privacy.categories import Held
from igstats_privacy.model import (
    Cause,
    Correction,
    Erasure,
    Hold,
    Holder,
    Identifier,
    Lease,
    NewRequest,
    Outcome,
    Phase,
    Receipt,
    Recipient,
    Regime,
    Right,
    Shown,
    State,
    Task,
    TaskKey,
)
from igstats_privacy.shares import Share

# A table look-up for each task and receipt instead of two calls into protobuf's enums.
_RIGHT_NUMBERS = {right: task_pb2.Right.Value(f"RIGHT_{right}") for right in Right}
_PHASE_NUMBERS = {phase: task_pb2.Phase.Value(f"PHASE_{phase}") for phase in Phase}
_OUTCOME_NUMBERS = {outcome: receipt_pb2.Outcome.Value(f"OUTCOME_{outcome}") for outcome in Outcome}
_KIND_NUMBERS = {
    name.removeprefix("IDENTIFIER_KIND_"): number for name, number in identifier_pb2.IdentifierKind.items()
}
_RIGHTS = {number: right for right, number in _RIGHT_NUMBERS.items()}
_OUTCOMES = {number: outcome for outcome, number in _OUTCOME_NUMBERS.items()}

_CAUSES = {
    Cause.DISABLED: "the holder is switched off",
    Cause.LATE: "the holder has not settled this in time",
    Cause.NEEDS_HUMAN: "the holder needs a person",
}


def stamp(moment: datetime | None) -> Timestamp | None:
    """A point in time, unset when there is none."""
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def identifier(one: Identifier) -> identifier_pb2.Identifier:
    """A person's name, to be sent under mTLS only."""
    return identifier_pb2.Identifier(kind=_KIND_NUMBERS[one.kind], value=one.value)


def read_identifier(one: identifier_pb2.Identifier) -> Identifier:
    """A person's name as it came."""
    kind = identifier_pb2.IdentifierKind.Name(one.kind).removeprefix("IDENTIFIER_KIND_")
    return Identifier(kind, one.value)


def read_regime(regime: request_pb2.Regime.ValueType) -> Regime:
    """A law that validation let pass."""
    return Regime(request_pb2.Regime.Name(regime).removeprefix("REGIME_")) if regime else Regime.GDPR


def read_time(moment: Timestamp) -> datetime:
    """A point in time as it came."""
    return moment.ToDatetime(UTC)


def new_request(message: privacy_service_pb2.OpenRequestRequest) -> NewRequest:
    """What a door hands in."""
    return NewRequest(
        right=read_right(message.right),
        door=message.door,
        account_id=message.account_id,
        identifiers=tuple(map(read_identifier, message.identifiers)),
        idempotency_key=message.idempotency_key,
        identity_proof=message.identity_proof,
        regime=read_regime(message.regime),
        corrections=tuple(Correction(one.field, one.value) for one in message.corrections),
        reply_address=message.reply_address,
        language=message.language,
        parent_id=message.parent_id,
        received_at=read_time(message.received_time) if message.HasField("received_time") else None,
    )


def read_right(right: task_pb2.Right.ValueType) -> Right:
    """A right that validation let pass."""
    return Right(task_pb2.Right.Name(right).removeprefix("RIGHT_"))


def read_phase(phase: task_pb2.Phase.ValueType) -> Phase | None:
    """A phase; None when it is not set."""
    return Phase(task_pb2.Phase.Name(phase).removeprefix("PHASE_")) if phase else None


def read_state(state: request_pb2.RequestState.ValueType) -> State | None:
    """A state to look for; None when it is not set."""
    return State(request_pb2.RequestState.Name(state).removeprefix("REQUEST_STATE_")) if state else None


def request(shown: Shown) -> request_pb2.Request:
    """A request with its tasks, for officers."""
    one = shown.request
    return request_pb2.Request(
        request_id=one.request_id,
        reference=one.reference,
        right=_RIGHT_NUMBERS[one.right],
        state=request_pb2.RequestState.Value(f"REQUEST_STATE_{one.state}"),
        account_id=shown.account_id,
        door=one.door,
        received_time=stamp(one.received_at),
        due_time=stamp(one.due_at),
        closed_time=stamp(one.closed_at),
        effective_time=stamp(one.effective_at),
        blocked=one.blocked,
        overdue=shown.overdue,
        reason=one.reason,
        tasks=map(task_status, shown.tasks),
        regime=request_pb2.Regime.Value(f"REGIME_{one.regime}"),
        subject_class=request_pb2.SubjectClass.Value(f"SUBJECT_CLASS_{one.subject_class}"),
        parent_id=one.parent_id,
        duplicate_of=one.duplicate_of,
        wait=request_pb2.Wait.Value(f"WAIT_{one.wait}"),
        wait_until_time=stamp(one.wait_until),
        confirm_due_time=stamp(one.confirm_due_at),
        extended_time=stamp(one.extended_at),
        identity_proof=one.identity_proof,
        status_code=shown.status_code,
        extension_reasons=shown.extension_reasons,
        automatic=one.automatic,
    )


def task_status(task: Task) -> request_pb2.TaskStatus:
    """A task as officers see it."""
    said = receipt_pb2.Receipt.FromString(task.receipt)
    return request_pb2.TaskStatus(
        holder=task.holder,
        phase=_PHASE_NUMBERS[task.phase],
        state=request_pb2.TaskState.Value(f"TASK_STATE_{task.state}"),
        outcome=_OUTCOME_NUMBERS[task.outcome] if task.outcome else receipt_pb2.Outcome.OUTCOME_UNSPECIFIED,
        counts=said.counts,
        retained=said.retained,
        attempts=task.attempts,
        settled_time=stamp(task.settled_at),
        explanation=explanation(task, said),
    )


def explanation(task: Task, said: receipt_pb2.Receipt) -> str:
    """In words, when a person must look or something stays."""
    if task.cause is not None:
        return said.explanation or _CAUSES[task.cause]
    kept = [f"{one.store} stays ({one.ground}) until {one.until_time.ToDatetime():%Y-%m-%d}" for one in said.retained]
    return "; ".join(kept) or said.explanation


def holder(one: Holder) -> request_pb2.Holder:
    """A registered holder."""
    return request_pb2.Holder(
        holder=one.name,
        store_count=one.store_count,
        description_digest=one.description_digest,
        public_key=one.public_key,
        registered_time=stamp(one.registered_at),
        seen_time=stamp(one.seen_at),
        enabled=one.enabled,
    )


def description(one: Holder) -> description_pb2.HolderDescription:
    """What a holder announced about its stores."""
    return description_pb2.HolderDescription.FromString(one.description)


def announced(message: holder_tasks_service_pb2.RegisterHolderRequest, now: datetime) -> tuple[Holder, str]:
    """A holder's announcement, and the id of its key."""
    said = message.description
    made = Holder(
        name=said.holder,
        description=said.SerializeToString(deterministic=True),
        description_digest=digest(said),
        store_count=len(said.stores),
        public_key=message.public_key,
        registered_at=now,
        seen_at=now,
        enabled=True,
    )
    return made, key_id(message.public_key)


def task(lease: Lease) -> task_pb2.Task:
    """A task as its holder gets it."""
    return task_pb2.Task(
        task_id=str(lease.task),
        request_id=lease.task.request_id,
        holder=lease.task.holder,
        right=_RIGHT_NUMBERS[lease.right],
        phase=_PHASE_NUMBERS[lease.task.phase],
        identifiers=map(identifier, lease.identifiers),
        tokens=lease.tokens,
        attempt=lease.attempt,
        due_time=stamp(lease.due_at),
        corrections=[task_pb2.Correction(field=one.field, value=one.value) for one in lease.corrections],
        holds=[_hold(one, lease.task.holder) for one in lease.holds],
        ended_rights=[_RIGHT_NUMBERS[one] for one in lease.ended],
    )


def _hold(one: Hold, holder: str) -> task_pb2.Hold:
    """A hold as the holder gets it that it is at."""
    return task_pb2.Hold(
        hold_id=one.hold_id, holder=holder, stores=one.at(holder), ground=one.ground, until_time=stamp(one.until)
    )


def share(task_id: str, one: Share) -> holder_tasks_service_pb2.ExportShare:
    """What arrived of a task."""
    return holder_tasks_service_pb2.ExportShare(task_id=task_id, digest=one.digest, row_count=one.row_count)


def erasure(one: Erasure, holder: str) -> holder_tasks_service_pb2.Erasure:
    """An entry of the erasure ledger."""
    return holder_tasks_service_pb2.Erasure(
        sequence=one.sequence,
        request_id=one.request_id,
        tokens=one.tokens,
        accepted_time=stamp(one.accepted_at),
        holds=[_hold(hold, holder) for hold in one.holds],
        pending=one.pending,
        ended=one.ended,
    )


def read_receipt(signed: receipt_pb2.SignedReceipt, said: receipt_pb2.Receipt) -> Receipt | None:
    """A receipt whose signature has been verified; None when its content contradicts itself or is not known here."""
    key, right, outcome = TaskKey.parse(said.task_id), _RIGHTS.get(said.right), _OUTCOMES.get(said.outcome)
    if key is None or right is None or outcome is None:
        return None
    if (said.request_id, said.holder, said.phase) != (key.request_id, key.holder, _PHASE_NUMBERS[key.phase]):
        return None
    return Receipt(
        task=key,
        right=right,
        outcome=outcome,
        effective_at=said.effective_time.ToDatetime(UTC) if said.HasField("effective_time") else None,
        raw=signed.receipt,
        signature=signed.signature,
        key_id=signed.key_id,
        digest=hashlib.sha256(signed.receipt).digest(),
    )


def grounds(receipt: bytes) -> list[str]:
    """The legal grounds on which something stays, as a receipt says."""
    return [one.ground for one in receipt_pb2.Receipt.FromString(receipt).retained if one.ground]


def recipient(one: Recipient) -> request_pb2.Recipient:
    """A recipient, for officers."""
    return request_pb2.Recipient(
        category="API customer", account_id=one.account_id, told=one.told, told_time=stamp(one.told_at)
    )


def held_fields(description: description_pb2.HolderDescription) -> Iterator[Held]:
    """Every field with personal data that a holder declares."""
    for store in description.stores:
        for field in store.fields:
            if field.category:
                yield Held(
                    description.holder,
                    field.category,
                    field.provenance,
                    store.purpose,
                    store.retention,
                    store.legal_basis,
                )
