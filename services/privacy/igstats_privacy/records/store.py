"""SQL of the request ledger, of breaches, and of alerts. Nothing here writes the ledger: triggers on requests do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, tuple_

from igstats_privacy.model import Regime, Right
from igstats_privacy.records.breach import Breach, BreachEvent, Kind
from igstats_privacy.records.clock import Alert
from igstats_privacy.records.rules import ANSWERS, REFUSED, LedgerEntry, RightMetrics
from igstats_privacy.records.tables import breach_events, breaches, request_ledger
from igstats_privacy.store import Connection

_ENTRY = [request_ledger.columns[field.name] for field in fields(LedgerEntry)]
# The rule of `rules.missed`.
_MISSED = (
    "(coalesce(answered_at, CAST(:now AS timestamptz)) >= due_at OR least(coalesce(confirmed_at, answered_at,"
    " CAST(:now AS timestamptz)), coalesce(answered_at, CAST(:now AS timestamptz))) >= confirm_due_at)"
)
_METRICS = text(
    "SELECT \"right\", count(*) AS received, count(*) FILTER (WHERE answer = 'FULFILLED') AS met,"  # noqa: S608 - only our own constants are put in
    " count(*) FILTER (WHERE answer = 'FULFILLED_IN_PART') AS met_in_part,"
    " count(*) FILTER (WHERE answer = ANY(CAST(:refused AS text[]))) AS refused,"
    f" count(*) FILTER (WHERE answered_at IS NULL) AS open, count(*) FILTER (WHERE {_MISSED}) AS missed,"
    " coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM answered_at - received_at))"
    " FILTER (WHERE answer = ANY(CAST(:answers AS text[]))), 0) / 86400 AS median_days FROM request_ledger"
    " WHERE received_at >= CAST(:start AS timestamptz) AND received_at < CAST(:end AS timestamptz)"
    ' GROUP BY "right" ORDER BY "right" COLLATE "C"'
)
_HALFWAY = text(
    "SELECT * FROM request_ledger WHERE answered_at IS NULL"
    " AND (due_at - received_at <= 2 * (CAST(:now AS timestamptz) - received_at) OR (confirmed_at IS NULL"
    " AND confirm_due_at - received_at <= 2 * (CAST(:now AS timestamptz) - received_at)))"
    " ORDER BY least(due_at, CASE WHEN confirmed_at IS NULL THEN confirm_due_at END) LIMIT :limit"
)
_TOLD = text(
    "INSERT INTO clock_alerts (about, clock, due_at, percent, created_at)"
    " SELECT g.about, g.clock, g.due_at, g.percent, CAST(:now AS timestamptz)"
    " FROM unnest(CAST(:abouts AS text[]), CAST(:clocks AS text[]), CAST(:dues AS timestamptz[]),"
    " CAST(:percents AS integer[])) AS g(about, clock, due_at, percent)"
    " ON CONFLICT DO NOTHING RETURNING about, clock, due_at, percent"
)
_LOCK_BREACH = text("SELECT breach_id FROM breaches WHERE breach_id = :breach_id FOR UPDATE")


@dataclass(frozen=True)
class Place:
    """Where a page of the ledger starts: after this entry."""

    received_at: datetime
    request_id: str


async def page(
    connection: Connection, limit: int, *, after: Place | None, start: datetime | None, end: datetime | None
) -> list[LedgerEntry]:
    """Entries received from `start` on and before `end`, newest first, from the one after `after` on."""
    place = tuple_(request_ledger.c.received_at, request_ledger.c.request_id)
    wanted = select(*_ENTRY).limit(limit)
    wanted = wanted.order_by(request_ledger.c.received_at.desc(), request_ledger.c.request_id.desc())
    if after is not None:
        wanted = wanted.where(place < tuple_(after.received_at, after.request_id))
    if start is not None:
        wanted = wanted.where(request_ledger.c.received_at >= start)
    if end is not None:
        wanted = wanted.where(request_ledger.c.received_at < end)
    return [_entry(row) for row in await connection.execute(wanted)]


async def metrics(connection: Connection, start: datetime, end: datetime, now: datetime) -> list[RightMetrics]:
    """The numbers of `rules.metrics` for requests received from `start` on and before `end`."""
    binds = {"start": start, "end": end, "now": now, "refused": sorted(REFUSED), "answers": sorted(ANSWERS)}
    return [
        RightMetrics(**dict(row._mapping) | {"right": Right(row.right), "median_days": float(row.median_days)})  # noqa: SLF001 - public
        for row in await connection.execute(_METRICS, binds)
    ]


async def halfway(connection: Connection, now: datetime, limit: int) -> list[LedgerEntry]:
    """Open entries with a clock of which half is over, those that end first at the top."""
    return [_entry(row) for row in await connection.execute(_HALFWAY, {"now": now, "limit": limit})]


def _entry(row: Any) -> LedgerEntry:  # noqa: ANN401 - a row of the ledger
    values = {field.name: getattr(row, field.name) for field in fields(LedgerEntry)}
    typed = {"right": Right(row.right), "regime": Regime(row.regime), "subject_token": bytes(row.subject_token)}
    return LedgerEntry(**values | typed)


async def tell(connection: Connection, alerts: Iterable[Alert], now: datetime) -> set[Alert]:
    """Notes that somebody is told of these; answers those of which nobody was told before."""
    given = {(one.about, one.clock.value, one.due_at, one.percent): one for one in alerts}
    columns = ("abouts", "clocks", "dues", "percents")
    binds = {name: [key[place] for key in given] for place, name in enumerate(columns)}
    rows = await connection.execute(_TOLD, binds | {"now": now})
    return {given[row.about, row.clock, row.due_at, row.percent] for row in rows}


async def add_breach(connection: Connection, breach: Breach) -> None:
    """Writes a breach with its first event."""
    first = breach.events[0]
    row = {
        "breach_id": breach.breach_id,
        "discovered_at": breach.discovered_at,
        "categories": list(breach.categories),
        "person_count": breach.person_count,
        "consequences": breach.consequences,
        "created_at": first.written_at,
    }
    await connection.execute(breaches.insert().values(row))
    await add_event(connection, breach.breach_id, 0, first)


async def add_event(connection: Connection, breach_id: str, number: int, event: BreachEvent) -> None:
    """Adds an event to a locked breach."""
    row = {"breach_id": breach_id, "number": number, "officer": event.officer, "kind": event.kind, "text": event.text}
    await connection.execute(breach_events.insert().values(row | {"created_at": event.written_at}))


async def lock_breach(connection: Connection, breach_id: str) -> Breach | None:
    """A breach that nobody else changes until the transaction ends; None when there is none of this id."""
    if await connection.scalar(_LOCK_BREACH, {"breach_id": breach_id}) is None:
        return None
    return (await _breaches(connection, breach_id))[0]


async def all_breaches(connection: Connection) -> Sequence[Breach]:
    """Every breach, newest first."""
    return await _breaches(connection)


async def _breaches(connection: Connection, breach_id: str = "") -> list[Breach]:
    wanted = select(breaches).order_by(breaches.c.discovered_at.desc(), breaches.c.breach_id.desc())
    events = select(breach_events).order_by(breach_events.c.number)
    if breach_id:
        wanted = wanted.where(breaches.c.breach_id == breach_id)
        events = events.where(breach_events.c.breach_id == breach_id)
    found = (await connection.execute(wanted)).all()
    written: dict[str, list[BreachEvent]] = {}
    for row in await connection.execute(events):
        event = BreachEvent(row.officer, row.created_at, Kind(row.kind), row.text)
        written.setdefault(row.breach_id, []).append(event)
    return [
        Breach(
            row.breach_id,
            row.discovered_at,
            tuple(row.categories),
            row.person_count,
            row.consequences,
            tuple(written.get(row.breach_id, ())),
        )
        for row in found
    ]
