"""Between the doors' words and the protos of privacy."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.holder.v1 import identifier_pb2, task_pb2
from igstats.privacy.v1 import privacy_service_pb2, request_pb2, status_service_pb2

from igstats_gateway.doors.model import (
    Category,
    Disclosure,
    Identifier,
    Justification,
    Opened,
    Regime,
    Right,
    State,
    Status,
    Wish,
)


def opening(wish: Wish) -> privacy_service_pb2.OpenRequestRequest:
    """What OpenRequest is asked."""
    return privacy_service_pb2.OpenRequestRequest(
        idempotency_key=wish.idempotency_key,
        right=task_pb2.Right.Value(f"RIGHT_{wish.right}"),
        identifiers=map(identifier, wish.identifiers),
        door=wish.door,
        account_id=wish.account_id,
        identity_proof=wish.identity_proof,
        regime=request_pb2.Regime.Value(f"REGIME_{wish.regime}"),
        corrections=[task_pb2.Correction(field=one.field, value=one.value) for one in wish.corrections],
        reply_address=wish.reply_address,
        language=wish.language,
        parent_id=wish.parent_id,
        received_time=_stamp(wish.received_at),
    )


def identifier(one: Identifier) -> identifier_pb2.Identifier:
    """A person's name, to be sent under mTLS only."""
    return identifier_pb2.Identifier(
        kind=identifier_pb2.IdentifierKind.Value(f"IDENTIFIER_KIND_{one.kind}"), value=one.value
    )


def read_request(one: request_pb2.Request) -> Opened:
    """A request as privacy shows it."""
    return Opened(
        request_id=one.request_id,
        reference=one.reference,
        status_code=one.status_code,
        right=Right(task_pb2.Right.Name(one.right).removeprefix("RIGHT_")),
        state=State(request_pb2.RequestState.Name(one.state).removeprefix("REQUEST_STATE_")),
        door=one.door,
        received_at=one.received_time.ToDatetime(UTC),
        due_at=one.due_time.ToDatetime(UTC),
        regime=Regime(request_pb2.Regime.Name(one.regime).removeprefix("REGIME_")),
        closed_at=_time(one, "closed_time"),
        effective_at=_time(one, "effective_time"),
        extended_at=_time(one, "extended_time"),
        confirm_due_at=_time(one, "confirm_due_time"),
        wait=request_pb2.Wait.Name(one.wait).removeprefix("WAIT_") if one.wait else "",
        wait_until=_time(one, "wait_until_time"),
        blocked=one.blocked,
        overdue=one.overdue,
        reason=one.reason,
        identity_proof=one.identity_proof,
        duplicate_of=one.duplicate_of,
        extension_reasons=one.extension_reasons,
    )


def read_status(one: status_service_pb2.GetStatusResponse) -> Status:
    """Where a request stands."""
    return Status(
        request=read_request(one.request),
        holders_done=one.holders_done,
        holders_total=one.holders_total,
        justifications=tuple(map(_justification, one.justifications)),
        proof_methods=tuple(one.proof_methods),
        package_methods=tuple(one.package_methods),
        letters=one.letters,
    )


def read_disclosure(one: status_service_pb2.DescribeCategoriesResponse) -> Disclosure:
    """The categories."""
    return Disclosure(tuple(map(_category, one.categories)), one.described_time.ToDatetime(UTC))


def _category(one: status_service_pb2.CategoryDescription) -> Category:
    return Category(
        category=one.category,
        keys=tuple(one.keys),
        sources=tuple(one.sources),
        purposes=tuple(one.purposes),
        recipients=tuple(one.recipients),
        retentions=tuple(one.retentions),
        sold=one.sold,
    )


def _justification(one: status_service_pb2.Justification) -> Justification:
    until = one.until_time.ToDatetime(UTC) if one.HasField("until_time") else None
    return Justification(one.about, one.ground, one.explanation, until)


def _time(one: request_pb2.Request, name: str) -> datetime | None:
    found: Timestamp = getattr(one, name)
    return found.ToDatetime(UTC) if one.HasField(name) else None  # type: ignore[arg-type]  # a name of a message field


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made
