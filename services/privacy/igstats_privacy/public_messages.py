"""Between the public API and the model."""

import base64
import binascii
from collections.abc import Iterable

from igstats.api.v1 import request_service_pb2 as api
from igstats.audit.v1.audit_service_pb2 import Acknowledgement, Entry, GetEvidenceResponse
from igstats.holder.v1.receipt_pb2 import Receipt
from igstats_kit.errors import DomainError, Reason
from ulid import ULID

from igstats_privacy.errors import field_invalid
from igstats_privacy.identity import contact_belongs
from igstats_privacy.messages import explanation, stamp
from igstats_privacy.model import Correction, Identifier, NewRequest, Recipient, Regime, Right, Shown, Task, Wait

_DOOR = "api"


def new_request(message: api.CreateRequestRequest, account_id: str) -> NewRequest:
    """What the account asks for.

    Raises:
        DomainError: FIELD_INVALID; the contact is not one of the account's.
    """
    return NewRequest(
        right=Right(api.RequestKind.Name(message.kind).removeprefix("REQUEST_KIND_")),
        door=_DOOR,
        account_id=account_id,
        identifiers=tuple(_identifiers(message.subject, account_id)),
        idempotency_key=message.request_key or str(ULID()),
        regime=Regime(message.regime or Regime.GDPR),
        corrections=tuple(Correction(one.field, one.value) for one in message.corrections),
    )


def _identifiers(subject: api.Subject, account_id: str) -> Iterable[Identifier]:
    if subject.instagram_user_id:
        yield Identifier("INSTAGRAM_USER_ID", subject.instagram_user_id)
    if subject.username:
        yield Identifier("USERNAME", subject.username)
    if subject.contact_id:
        if not contact_belongs(subject.contact_id, account_id):
            raise field_invalid("subject.contact_id", "must be a contact of the calling account")
        yield Identifier("CONTACT_ID", subject.contact_id)
    if subject.own_account:
        yield Identifier("ACCOUNT_ID", account_id)
    if subject.email:
        yield Identifier("EMAIL", subject.email)


def notice(one: Recipient) -> api.Notice:
    """What an account is told about a person whose data it got."""
    return api.Notice(
        notice_id=one.notice_id,
        kind=one.told,
        instagram_user_ids=one.instagram_user_ids,
        fields=one.fields,
        told_time=stamp(one.told_at),
    )


def privacy_request(shown: Shown) -> api.PrivacyRequest:
    """A request with its steps."""
    one = shown.request
    return api.PrivacyRequest(
        request_id=one.request_id,
        reference=one.reference,
        kind=api.RequestKind.Value(f"REQUEST_KIND_{one.right}"),
        state=one.state,
        received_time=stamp(one.received_at),
        due_time=stamp(one.due_at),
        closed_time=stamp(one.closed_at),
        effective_time=stamp(one.effective_at),
        blocked=one.blocked,
        overdue=shown.overdue,
        steps=map(_step, shown.tasks),
        regime=one.regime,
        wait=one.wait if one.wait is not Wait.UNSPECIFIED else "",
        extended_time=stamp(one.extended_at),
        duplicate_of=one.duplicate_of,
        status_code=shown.status_code,
        extension_reasons=shown.extension_reasons,
    )


def _step(task: Task) -> api.Step:
    said = Receipt.FromString(task.receipt)
    return api.Step(
        holder=task.holder,
        phase=task.phase,
        state=task.state,
        outcome=task.outcome or "",
        counts={one.store: one.count for one in said.counts},
        settled_time=stamp(task.settled_at),
        explanation=explanation(task, said),
    )


def evidence(found: GetEvidenceResponse, request_id: str, keys: Iterable[tuple[str, bytes]]) -> api.GetEvidenceResponse:
    """Everything that verifies a request offline."""
    pairs = zip(found.entries, found.acknowledgements, strict=True)
    return api.GetEvidenceResponse(
        request_id=request_id,
        entries=[_entry(entry, proved) for entry, proved in pairs],
        checkpoint=found.checkpoint,
        verifier_key=found.verifier_key,
        holder_keys=[api.HolderKey(holder=holder, public_key=key) for holder, key in keys],
    )


def _entry(entry: Entry, proved: Acknowledgement) -> api.EvidenceEntry:
    return api.EvidenceEntry(
        index=entry.index,
        kind=entry.kind,
        leaf=entry.leaf,
        salt=entry.salt,
        payload=entry.payload,
        path=proved.path,
    )


def page_token(request_id: str) -> str:
    """Where the next page starts, as callers carry it."""
    return base64.urlsafe_b64encode(request_id.encode()).decode().rstrip("=")


def read_page_token(token: str, kind: str = "req_") -> str:
    """Where a page of requests, or of what else has ids of `kind`, starts.

    Raises:
        DomainError: PAGE_TOKEN_INVALID.
    """
    try:
        found = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise DomainError(Reason.PAGE_TOKEN_INVALID) from error
    if token and not found.startswith(kind):
        raise DomainError(Reason.PAGE_TOKEN_INVALID)
    return found
