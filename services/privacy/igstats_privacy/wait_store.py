"""SQL of requests before acceptance: what triage looks at, what waits, and which requests are about the same person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from igstats_kit.sql import fetch
from sqlalchemy import text

from igstats_privacy.model import Regime, Right, State, Wait, Waiting
from igstats_privacy.store import Connection

_ENUMS: Mapping[str, type[StrEnum]] = {"right": Right, "state": State, "regime": Regime, "wait": Wait}
_WAITING = text(
    "SELECT r.request_id, r.right, r.state, r.identity_proof, i.sealed, r.door, r.regime, r.parent_id, r.due_at,"
    " r.wait, r.wait_until, r.approved_at IS NOT NULL AS approved, r.automatic"
    " FROM requests r JOIN request_identifiers i USING (request_id)"
    " WHERE r.state IN ('RECEIVED', 'TRIAGE') AND r.request_id > :after"
    " AND (r.wait = 'UNSPECIFIED' OR (r.wait = 'WINDOW' AND r.wait_until <= :now))"
    " ORDER BY r.request_id LIMIT :limit"
)
_LOCK_SEEN = text(
    "SELECT request_id, state, wait, wait_until, approved_at IS NOT NULL AS approved FROM requests"
    " WHERE request_id = ANY(CAST(:ids AS text[])) ORDER BY request_id FOR UPDATE"
)
# Each token is looked up by itself (OFFSET keeps the planner from comparing every one with every row).
_OTHERS = text(
    "SELECT g.request_id AS mine, r.*, array_agg(g.token) AS tokens"
    " FROM unnest(CAST(:owners AS text[]), CAST(:tokens AS bytea[])) AS g(request_id, token)"
    " CROSS JOIN LATERAL (SELECT request_id FROM request_tokens WHERE token = g.token OFFSET 0) t"
    ' CROSS JOIN LATERAL (SELECT q.request_id, q."right", q.state, q.due_at, q.parent_id, q.account_token,'
    " q.identity_proof FROM requests q"
    " WHERE q.request_id = t.request_id AND q.closed_at IS NULL OFFSET 0) r"
    " WHERE r.request_id <> g.request_id"
    ' GROUP BY g.request_id, r.request_id, r."right", r.state, r.due_at, r.parent_id, r.account_token, r.identity_proof'
)
_WAIT = text(
    "UPDATE requests SET wait = g.wait, wait_until = g.until FROM unnest(CAST(:ids AS text[]), CAST(:waits AS text[]),"
    " CAST(:untils AS timestamptz[])) AS g(id, wait, until) WHERE request_id = g.id"
)
_CHILDREN = text(
    'SELECT request_id, state FROM requests WHERE parent_id = :parent AND "right" = :right AND automatic'
    " ORDER BY request_id FOR UPDATE"
)
_IN_FORCE = (
    "r.state NOT IN ('RECEIVED', 'IDENTITY_PENDING', 'TRIAGE', 'DENIED', 'WITHDRAWN', 'EXPIRED')"
    " AND NOT EXISTS (SELECT FROM request_tokens u JOIN requests l USING (request_id) WHERE u.token = g.token"
    " AND l.\"right\" = 'LIFTING' AND l.request_id > r.request_id AND l.state = 'FULFILLED')"
)
# A restriction stands from its acceptance until a later lifting; one that came by itself, for a wait that has ended,
# stands for nothing. What somebody has opened, by whatever door and beside whatever request, ends by request only.
_RESTRICTED_OTHERWISE = text(
    "SELECT EXISTS (SELECT FROM unnest(CAST(:tokens AS bytea[])) AS g(token) JOIN request_tokens t USING (token)"  # noqa: S608 - only our own constants are put in
    f" JOIN requests r USING (request_id) WHERE r.\"right\" = 'RESTRICTION' AND {_IN_FORCE}"
    " AND NOT (r.automatic AND (r.parent_id = :parent OR EXISTS (SELECT FROM requests p"
    " WHERE p.request_id = r.parent_id AND (p.state IN ('DENIED', 'WITHDRAWN', 'EXPIRED')"
    " OR p.\"right\" = 'CORRECTION' AND (p.state <> 'TRIAGE' OR p.approved_at IS NOT NULL))))))"
)
# The wait of an erasure ends with the data, or with a lifting of its own.
_RESTRICTED_MEANWHILE = text(
    "SELECT DISTINCT g.request_id"  # noqa: S608 - only our own constants are put in
    " FROM unnest(CAST(:owners AS text[]), CAST(:tokens AS bytea[])) AS g(request_id, token)"
    " JOIN request_tokens t USING (token) JOIN requests r ON r.request_id = t.request_id"
    f" WHERE r.\"right\" = 'RESTRICTION' AND {_IN_FORCE} AND (NOT r.automatic"
    " OR EXISTS (SELECT FROM requests p WHERE p.request_id = r.parent_id"
    " AND p.\"right\" = 'ERASURE' AND p.state = 'TRIAGE'))"
)


async def waiting(connection: Connection, after: str, limit: int, now: datetime) -> list[Waiting]:
    """Requests for triage, the oldest first, from the one after `after` on: those that wait for nobody any more."""
    rows = await fetch(connection, _WAITING, {"after": after, "limit": limit, "now": now})
    return [Waiting(**{**row, **{name: enum(row[name]) for name, enum in _ENUMS.items()}}) for row in rows]


async def lock_seen(connection: Connection, seen: Sequence[Waiting]) -> set[str]:
    """Locks requests, in one order for everybody, and answers which of them are still as they were seen."""
    rows = await fetch(connection, _LOCK_SEEN, {"ids": [one.request_id for one in seen]})
    now = {row.request_id: (row.state, row.wait, row.wait_until, row.approved) for row in rows}
    return {
        one.request_id for one in seen if now.get(one.request_id) == (one.state, one.wait, one.wait_until, one.approved)
    }


@dataclass(frozen=True)
class Other:
    """A live request that names the person of `mine` by `tokens`; its own identity is proved."""

    mine: str
    request_id: str
    right: Right
    state: State
    due_at: datetime
    parent_id: str
    account_token: bytes
    identity_proof: str
    tokens: tuple[bytes, ...]


async def others(connection: Connection, persons: Mapping[str, Iterable[bytes]]) -> list[Other]:
    """Live requests about the persons of these requests, given by their tokens."""
    rows = await fetch(connection, _OTHERS, _pairs(persons))
    return [
        Other(
            row.mine,
            row.request_id,
            Right(row.right),
            State(row.state),
            row.due_at,
            row.parent_id,
            bytes(row.account_token),
            row.identity_proof,
            tuple(map(bytes, row.tokens)),
        )
        for row in rows
    ]


async def wait(connection: Connection, waits: Mapping[str, tuple[Wait, datetime | None]]) -> None:
    """Writes what requests wait for."""
    binds = {"waits": [one for one, _ in waits.values()], "untils": [until for _, until in waits.values()]}
    await connection.execute(_WAIT, {"ids": list(waits), **binds})


async def children(connection: Connection, parent_id: str, right: Right) -> dict[str, State]:
    """Locks the requests of a right that the wait of another one has brought about, and answers how they stand."""
    rows = await connection.execute(_CHILDREN, {"parent": parent_id, "right": right})
    return {row.request_id: State(row.state) for row in rows}


async def restricted_otherwise(connection: Connection, parent_id: str, tokens: Sequence[bytes]) -> bool:
    """Whether a restriction of the person stands that is not one for the wait of this request."""
    found: bool = await connection.scalar(_RESTRICTED_OTHERWISE, {"parent": parent_id, "tokens": list(tokens)})
    return found


async def restricted_meanwhile(connection: Connection, persons: Mapping[str, Iterable[bytes]]) -> set[str]:
    """Those of the requests, given with their persons' tokens, whose person's data rests as somebody wants it to.

    That is a restriction that somebody has opened, or one for the window of an erasure.
    """
    rows = await fetch(connection, _RESTRICTED_MEANWHILE, _pairs(persons))
    return {row.request_id for row in rows}


def _pairs(persons: Mapping[str, Iterable[bytes]]) -> dict[str, list[Any]]:
    pairs = [(request_id, token) for request_id, tokens in persons.items() for token in tokens]
    return {"owners": [name for name, _ in pairs], "tokens": [one for _, one in pairs]}
