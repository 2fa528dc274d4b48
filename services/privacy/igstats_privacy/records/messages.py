"""Between protos and records."""

from collections.abc import Iterable
from datetime import datetime

from igstats.holder.v1.description_pb2 import EraseAction, HolderDescription, StoreDescription, StoreKind, SubjectKind
from igstats.privacy.v1 import record_service_pb2 as pb
from igstats_kit.errors import DomainError, Reason

from igstats_privacy.messages import stamp
from igstats_privacy.public_messages import page_token, read_page_token
from igstats_privacy.records.activities import Stored
from igstats_privacy.records.breach import Breach, BreachEvent
from igstats_privacy.records.clock import Alert, Clock
from igstats_privacy.records.rules import LedgerEntry, RightMetrics, missed
from igstats_privacy.records.store import Place


def entry(one: LedgerEntry, now: datetime) -> pb.LedgerEntry:
    """A line of the ledger."""
    return pb.LedgerEntry(
        request_id=one.request_id,
        subject_token=one.subject_token.hex(),
        right=one.right,
        door=one.door,
        regime=one.regime,
        received_time=stamp(one.received_at),
        answered_time=stamp(one.answered_at),
        due_time=stamp(one.due_at),
        answer=one.answer,
        ground=one.ground,
        missed=missed(one, now),
    )


def place_token(place: Place | None) -> str:
    """Where the next page of the ledger starts, as callers carry it."""
    return "" if place is None else page_token(f"{place.request_id} {place.received_at.isoformat()}")


def read_place_token(token: str) -> Place | None:
    """Where a page of the ledger starts; None for its beginning.

    Raises:
        DomainError: PAGE_TOKEN_INVALID.
    """
    request_id, _, received = read_page_token(token).partition(" ")
    if not request_id:
        return None
    try:
        moment = datetime.fromisoformat(received)
    except ValueError as error:
        raise DomainError(Reason.PAGE_TOKEN_INVALID) from error
    if moment.tzinfo is None:
        raise DomainError(Reason.PAGE_TOKEN_INVALID)
    return Place(moment, request_id)


def metrics(one: RightMetrics) -> pb.RightMetrics:
    """Numbers of one right."""
    return pb.RightMetrics(
        right=one.right,
        received=one.received,
        met=one.met,
        met_in_part=one.met_in_part,
        refused=one.refused,
        open=one.open,
        missed=one.missed,
        median_days=one.median_days,
    )


def stored(descriptions: Iterable[HolderDescription]) -> tuple[list[Stored], list[str]]:
    """The stores with personal data, and the names of those without."""
    personal: list[Stored] = []
    impersonal: list[str] = []
    for holder in descriptions:
        for store in holder.stores:
            if store.subject_kind == SubjectKind.SUBJECT_KIND_NONE:
                impersonal.append(f"{holder.holder}: {store.store}")
            else:
                personal.append(_stored(holder.holder, store))
    return personal, impersonal


def _stored(holder: str, store: StoreDescription) -> Stored:
    return Stored(
        holder=holder,
        store=store.store,
        kind=StoreKind.Name(store.kind).removeprefix("STORE_KIND_"),
        persons=SubjectKind.Name(store.subject_kind).removeprefix("SUBJECT_KIND_"),
        purpose=store.purpose,
        legal_basis=store.legal_basis,
        categories=tuple(field.category for field in store.fields if field.category),
        retention=store.retention,
        erasure=EraseAction.Name(store.on_erase).removeprefix("ERASE_ACTION_"),
    )


def breach(one: Breach, now: datetime) -> pb.Breach:
    """A breach with its events."""
    return pb.Breach(
        breach_id=one.breach_id,
        discovered_time=stamp(one.discovered_at),
        authority_due_time=stamp(one.authority_due_at),
        authority_told_time=stamp(one.authority_told_at),
        missed=one.missed(now),
        categories=one.categories,
        person_count=one.person_count,
        consequences=one.consequences,
        events=map(_event, one.events),
        closed_time=stamp(one.closed_at),
    )


def _event(one: BreachEvent) -> pb.BreachEvent:
    return pb.BreachEvent(officer=one.officer, written_time=stamp(one.written_at), kind=one.kind, text=one.text)


def alert(one: Alert) -> pb.Alert:
    """A clock that somebody must look at."""
    of_breach = one.clock is Clock.AUTHORITY
    return pb.Alert(
        request_id="" if of_breach else one.about,
        breach_id=one.about if of_breach else "",
        clock=one.clock,
        percent=one.percent,
        due_time=stamp(one.due_at),
    )
