"""SQL of requests: opening, reading, triage and state changes. Set-based: one statement serves a whole batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from igstats_kit.outbox import Posted, post, post_binds, posting
from igstats_kit.sql import fetch
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_privacy.events import Fact
from igstats_privacy.model import Acceptance, Regime, Request, Right, State, SubjectClass, Wait
from igstats_privacy.tables import idempotency, request_identifiers, request_tokens, requests

Connection: TypeAlias = AsyncConnection
"""A connection in a transaction; use cases hand it on and never look inside."""

_NAMES = [field.name for field in fields(Request)]
_REQUEST = [requests.columns[name] for name in _NAMES]
_ENUMS: Mapping[str, type[StrEnum]] = {
    "right": Right,
    "state": State,
    "regime": Regime,
    "subject_class": SubjectClass,
    "wait": Wait,
}
_OPENED = (
    *("request_id", "reference", "right", "state", "account_token", "door", "identity_proof"),
    *("received_at", "due_at", "confirm_due_at", "regime", "parent_id", "confirmed_at", "ledger_token"),
    "automatic",
)
_LOCK = text(
    'SELECT request_id, "right", state FROM requests WHERE request_id = ANY(CAST(:ids AS text[]))'
    " ORDER BY request_id FOR UPDATE"
)
_LOCK_OPEN = text(
    'SELECT request_id, "right", state FROM requests WHERE closed_at IS NULL AND state = ANY(CAST(:states AS text[]))'
    " ORDER BY request_id FOR UPDATE"
)
# Keys in one order for everybody: who claims several at once waits for a twin instead of blocking it.
_OPEN = text(
    "WITH given AS (SELECT * FROM unnest(CAST(:keys AS bytea[]), CAST(:contents AS bytea[]), CAST(:sealed AS bytea[]),"  # noqa: S608 - only our own constants are put in
    " CAST(:request_id AS text[]), CAST(:reference AS text[]), CAST(:right AS text[]), CAST(:state AS text[]),"
    " CAST(:account_token AS bytea[]), CAST(:door AS text[]), CAST(:identity_proof AS text[]),"
    " CAST(:received_at AS timestamptz[]), CAST(:due_at AS timestamptz[]), CAST(:confirm_due_at AS timestamptz[]),"
    " CAST(:regime AS text[]), CAST(:parent_id AS text[]), CAST(:confirmed_at AS timestamptz[]),"
    " CAST(:ledger_token AS bytea[]), CAST(:automatic AS boolean[]))"
    ' AS g(key, content, sealed, request_id, reference, "right",'
    " state, account_token, door, identity_proof, received_at, due_at, confirm_due_at, regime, parent_id,"
    " confirmed_at, ledger_token, automatic)),"
    " claimed AS (INSERT INTO idempotency (key_digest, content_digest, request_id, created_at)"
    " SELECT key, content, request_id, received_at FROM given ORDER BY key ON CONFLICT DO NOTHING"
    " RETURNING request_id),"
    " fresh AS (SELECT * FROM given WHERE request_id IN (SELECT request_id FROM claimed)),"
    ' added AS (INSERT INTO requests (request_id, reference, "right", state, account_token, door, identity_proof,'
    " received_at, due_at, confirm_due_at, blocked, reason, regime, parent_id, confirmed_at, ledger_token, automatic)"
    ' SELECT request_id, reference, "right", state, account_token, door, identity_proof,'
    " received_at, due_at, confirm_due_at, false, '', regime, parent_id, confirmed_at, ledger_token, automatic"
    " FROM fresh),"
    " named AS (INSERT INTO request_identifiers (request_id, sealed, created_at)"
    " SELECT request_id, sealed, received_at FROM fresh),"
    f" {posting('EXISTS (SELECT FROM claimed)')} SELECT request_id, NULL AS event_id, NULL::bigint AS sequence"
    " FROM claimed UNION ALL SELECT NULL, event_id, sequence FROM posted"
)
_WRITE_TO = text(
    "INSERT INTO correspondents (request_id, sealed, written, seen, created_at, needed_until)"
    " SELECT g.id, g.sealed, '{}', '', g.time, g.time FROM unnest(CAST(:ids AS text[]), CAST(:sealed AS bytea[]),"
    " CAST(:times AS timestamptz[])) AS g(id, sealed, time)"
)
# The head row is locked until the commit, so numbers become visible in their order and a reader sees no gap.
_ACCEPT = text(
    "WITH given AS (SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:proofs AS text[]), CAST(:sealed AS bytea[]),"
    " CAST(:classes AS text[]), CAST(:dues AS timestamptz[]), CAST(:firsts AS text[]), CAST(:waits AS text[]),"
    " CAST(:untils AS timestamptz[]), CAST(:ledger_tokens AS bytea[]))"
    " AS g(request_id, proof, sealed, subject_class, due_at, first, wait, until, ledger_token)),"
    " proved AS (UPDATE requests r SET identity_proof = g.proof, subject_class = g.subject_class, due_at = g.due_at,"
    " duplicate_of = g.first, wait = g.wait, wait_until = g.until,"
    " ledger_token = coalesce(nullif(g.ledger_token, ''), r.ledger_token)"
    " FROM given g WHERE r.request_id = g.request_id),"
    " resealed AS (UPDATE request_identifiers i SET sealed = g.sealed FROM given g WHERE i.request_id = g.request_id),"
    " tokens AS (SELECT DISTINCT * FROM unnest(CAST(:owners AS text[]), CAST(:tokens AS bytea[]),"
    " CAST(:lasting AS boolean[])) AS t(request_id, token, lasting)),"
    " named AS (INSERT INTO request_tokens (request_id, token, created_at)"
    " SELECT request_id, token, CAST(:now AS timestamptz) FROM tokens ON CONFLICT DO NOTHING),"
    " erased AS (SELECT request_id, array_agg(token ORDER BY token) AS tokens,"
    " row_number() OVER (ORDER BY request_id) AS place FROM tokens"
    " WHERE request_id = ANY(CAST(:erasures AS text[])) AND lasting"
    # A ledger that was rebuilt may know a request that a restored database accepts once more.
    " AND request_id NOT IN (SELECT request_id FROM erasure_ledger WHERE request_id = ANY(CAST(:erasures AS text[])))"
    " GROUP BY request_id),"
    " head AS (UPDATE ledger_head SET sequence = sequence + (SELECT count(*) FROM erased)"
    " WHERE EXISTS (SELECT FROM erased) RETURNING sequence)"
    " INSERT INTO erasure_ledger (sequence, request_id, tokens, accepted_at)"
    " SELECT h.sequence - (SELECT count(*) FROM erased) + e.place, e.request_id, e.tokens, CAST(:now AS timestamptz)"
    " FROM erased e CROSS JOIN head h"
)
_TAKE = text(
    "WITH taken AS (INSERT INTO inbox (consumer, event_id)"
    " SELECT CAST(:consumer AS text), id FROM unnest(CAST(:events AS text[])) AS id"
    " ON CONFLICT DO NOTHING RETURNING event_id),"
    ' locked AS (SELECT request_id, "right", state FROM requests WHERE request_id = ANY(CAST(:ids AS text[]))'
    " ORDER BY request_id FOR UPDATE)"
    ' SELECT event_id, NULL AS "right", NULL AS state FROM taken UNION ALL SELECT * FROM locked'
)
_PROVE = text(
    "UPDATE requests r SET identity_proof = n.proof FROM unnest(CAST(:ids AS text[]), CAST(:proofs AS text[]))"
    " AS n(request_id, proof) WHERE r.request_id = n.request_id"
)
_RETAINING = text(
    "SELECT t.request_id, r.receipt FROM tasks t JOIN receipts r ON r.request_id = t.request_id"
    " AND r.holder = t.holder AND r.phase = t.phase AND r.digest = t.receipt_digest"
    " WHERE t.request_id = ANY(CAST(:ids AS text[])) AND t.outcome = 'RETAINED' ORDER BY t.request_id, t.step, t.holder"
)
_GIVE_REASONS = text(
    "UPDATE requests r SET reason = n.reason FROM unnest(CAST(:ids AS text[]), CAST(:reasons AS text[]))"
    " AS n(request_id, reason) WHERE r.request_id = n.request_id"
)
# What an officer has written to the person: reasons of an extension, words beside those of a refusal.
_EXPLAINED = text("SELECT kind, explanation FROM decisions WHERE request_id = :request_id AND explanation <> ''")
_UNPROVED = text(
    "SELECT request_id FROM requests WHERE state = 'IDENTITY_PENDING' AND closed_at IS NULL AND due_at <= :now"
    " LIMIT :limit"
)
_SETTLED_BY_NOW = text("SELECT request_id FROM requests WHERE state = 'SETTLING' AND effective_at <= :now LIMIT :limit")
_OVERDUE = text(
    "WITH due AS MATERIALIZED (SELECT request_id FROM requests WHERE closed_at IS NULL AND due_at <= :now"
    " AND overdue_at IS NULL ORDER BY request_id FOR UPDATE)"  # in the order of `lock`
    " UPDATE requests r SET overdue_at = :now FROM due WHERE r.request_id = due.request_id RETURNING r.request_id"
)
_NEXT_DATE = text("SELECT min(effective_at) FROM requests WHERE state = 'SETTLING'")


def drafted(facts: Sequence[Fact]) -> list[Posted]:
    """The facts as rows of the outbox, each with its id for ever."""
    return [Posted.of(subject, message) for subject, message in facts]


@dataclass(frozen=True)
class Opening:
    """A new request with its sealed names, under the digest of its idempotency key and that of its content.

    `reply` is where letters go to, sealed; None when nobody is to be written to.
    """

    request: Request
    sealed: bytes
    key: bytes
    content: bytes
    reply: bytes | None = None


async def add(connection: Connection, openings: Sequence[Opening], facts: Sequence[Fact]) -> set[str]:
    """Writes new requests in one statement; answers the ids of those whose key stood for no request yet.

    `facts` are posted if any was added. A concurrent call with the same key waits here until the first has committed.
    """
    posted = drafted(facts)
    binds: dict[str, Any] = {name: [getattr(one.request, name) for one in openings] for name in _OPENED}
    binds |= {
        "keys": [one.key for one in openings],
        "contents": [one.content for one in openings],
        "sealed": [one.sealed for one in openings],
    }
    rows = await fetch(connection, _OPEN, binds | post_binds(posted))
    if posted and rows:
        post(connection, posted, [row for row in rows if row.event_id is not None])
    added = {row.request_id for row in rows if row.request_id is not None}
    await _write_to(connection, [one for one in openings if one.reply is not None and one.request.request_id in added])
    return added


async def _write_to(connection: Connection, openings: Sequence[Opening]) -> None:
    if openings:
        binds = {
            "ids": [one.request.request_id for one in openings],
            "sealed": [one.reply for one in openings],
            "times": [one.request.received_at for one in openings],
        }
        await connection.execute(_WRITE_TO, binds)


async def keyed(connection: Connection, key: bytes) -> tuple[Request, bytes]:
    """The request that an idempotency key stands for, and the digest of its content."""
    joined = requests.join(idempotency, idempotency.c.request_id == requests.c.request_id)
    wanted = select(*_REQUEST, idempotency.c.content_digest).select_from(joined)
    row = (await connection.execute(wanted.where(idempotency.c.key_digest == key))).one()
    return _request(row[:-1]), bytes(row.content_digest)


async def last_of(connection: Connection, tokens: Iterable[bytes], rights: Iterable[Right]) -> Request | None:
    """The last request of a person for one of these rights, accepted and neither refused nor taken back."""
    own = select(request_tokens.c.request_id).where(request_tokens.c.token.in_(list(tokens)))
    wanted = select(*_REQUEST).where(requests.c.request_id.in_(own), requests.c.right.in_(list(rights)))
    wanted = wanted.where(requests.c.state.not_in([State.DENIED, State.WITHDRAWN, State.EXPIRED]))
    newest = wanted.order_by(requests.c.received_at.desc(), requests.c.request_id.desc()).limit(1)
    row = (await connection.execute(newest)).first()
    return None if row is None else _request(row)


async def sealed(connection: Connection, request_id: str) -> bytes | None:
    """The sealed names in a request; None when they are destroyed."""
    wanted = select(request_identifiers.c.sealed).where(request_identifiers.c.request_id == request_id)
    found: bytes | None = await connection.scalar(wanted)
    return found


async def find(connection: Connection, request_id: str) -> Request | None:
    """One request."""
    row = (await connection.execute(select(*_REQUEST).where(requests.c.request_id == request_id))).first()
    return None if row is None else _request(row)


async def page(
    connection: Connection,
    limit: int,
    *,
    before: str = "",
    account_token: bytes | None = None,
    state: State | None = None,
    blocked_only: bool = False,
) -> list[Request]:
    """Requests, newest first, older than `before`."""
    wanted = select(*_REQUEST).order_by(requests.c.request_id.desc()).limit(limit)
    if before:
        wanted = wanted.where(requests.c.request_id < before)
    if account_token is not None:
        wanted = wanted.where(requests.c.account_token == account_token)
    if state is not None:
        wanted = wanted.where(requests.c.state == state)
    if blocked_only:
        wanted = wanted.where(requests.c.blocked, requests.c.closed_at.is_(None))
    return [_request(row) for row in await connection.execute(wanted)]


def _request(row: Sequence[Any]) -> Request:
    values = dict(zip(_NAMES, row, strict=True))
    return Request(**values | {name: enum(values[name]) for name, enum in _ENUMS.items()})


async def lock(connection: Connection, request_ids: Iterable[str]) -> dict[str, tuple[Right, State]]:
    """Locks requests, in one order for everybody, and answers how they stand. Whoever changes tasks does this first."""
    rows = await fetch(connection, _LOCK, {"ids": list(request_ids)})
    return {row.request_id: (Right(row.right), State(row.state)) for row in rows}


async def lock_open(connection: Connection, states: Iterable[State]) -> dict[str, Right]:
    """Locks all requests in these states."""
    rows = await connection.execute(_LOCK_OPEN, {"states": list(states)})
    return {row.request_id: Right(row.right) for row in rows}


async def take(
    connection: Connection, consumer: str, event_ids: Iterable[str], request_ids: Iterable[str]
) -> tuple[set[str], dict[str, tuple[Right, State]]]:
    """Records events as handled and locks requests; answers which events are new, and how the requests stand."""
    binds = {"consumer": consumer, "events": list(event_ids), "ids": list(request_ids)}
    rows = await fetch(connection, _TAKE, binds)
    fresh = {row.event_id for row in rows if row.right is None}
    return fresh, {row.event_id: (Right(row.right), State(row.state)) for row in rows if row.right is not None}


async def accept(connection: Connection, accepted: Sequence[Acceptance], now: datetime) -> None:
    """Writes what triage found out: proofs, completed names (sealed), tokens, kinship, what requests wait for.

    Erasures that wait for nothing go into the ledger, by the tokens that last.
    """
    pairs = [(one.request_id, token) for one in accepted for token in one.tokens]
    binds = {
        "ids": [one.request_id for one in accepted],
        "proofs": [one.proof for one in accepted],
        "sealed": [one.sealed for one in accepted],
        "ledger_tokens": [one.ledger_token for one in accepted],
        "owners": [request_id for request_id, _ in pairs],
        "tokens": [token for _, token in pairs],
        "lasting": [token in one.lasting for one in accepted for token in one.tokens],
        "erasures": [one.request_id for one in accepted if one.right is Right.ERASURE and one.wait is Wait.UNSPECIFIED],
        "classes": [one.subject_class for one in accepted],
        "dues": [one.due_at for one in accepted],
        "firsts": [one.duplicate_of for one in accepted],
        "waits": [one.wait for one in accepted],
        "untils": [one.wait_until for one in accepted],
    }
    await fetch(connection, _ACCEPT, binds | {"now": now})


async def prove(connection: Connection, proofs: Mapping[str, str]) -> None:
    """Writes how identities were proved."""
    await connection.execute(_PROVE, {"ids": list(proofs), "proofs": list(proofs.values())})


async def retaining(connection: Connection, request_ids: Sequence[str]) -> dict[str, list[bytes]]:
    """The receipts by which holders said that something stays, serialised, by request."""
    found: dict[str, list[bytes]] = {name: [] for name in request_ids}
    for row in await connection.execute(_RETAINING, {"ids": list(request_ids)}):
        found[row.request_id].append(bytes(row.receipt))
    return found


async def give_reasons(connection: Connection, reasons: Mapping[str, str]) -> None:
    """Writes why requests are met in part; the request ledger follows."""
    await connection.execute(_GIVE_REASONS, {"ids": list(reasons), "reasons": list(reasons.values())})


async def explanations(connection: Connection, request_id: str) -> dict[str, str]:
    """The words of officers to the person, by kind of decision: letters and every answer tell the same."""
    rows = await connection.execute(_EXPLAINED, {"request_id": request_id})
    return {row.kind: row.explanation for row in rows}


async def unproved(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Requests whose identity was not proved in time."""
    return list((await connection.execute(_UNPROVED, {"now": now, "limit": limit})).scalars())


async def settled_by(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Requests that waited for a date which has come."""
    return list((await connection.execute(_SETTLED_BY_NOW, {"now": now, "limit": limit})).scalars())


async def next_date(connection: Connection) -> datetime | None:
    """The next date that a request waits for."""
    found: datetime | None = await connection.scalar(_NEXT_DATE)
    return found


async def mark_overdue(connection: Connection, now: datetime) -> list[str]:
    """Open requests whose answer has become due, each once."""
    return list((await connection.execute(_OVERDUE, {"now": now})).scalars())
