"""SQL of holds: which are in force for whom, which erasures each has kept back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from igstats_privacy.model import Hold, Phase, State
from igstats_privacy.store import Connection
from igstats_privacy.tables import hold_tokens, holds

HELD = (
    "(EXISTS (SELECT FROM hold_tokens) AND EXISTS (SELECT FROM request_tokens k JOIN hold_tokens h USING (token)"
    " WHERE k.request_id = {request_id}))"
)
"""Whether a hold, released or not, concerns the person of a request. The first look answers where there are none."""

# Handing a hold out with an ERASE and releasing it take turns on its row: whichever comes second knows of the first.
_USE = text(
    "UPDATE holds h SET kept_back = (SELECT array_agg(DISTINCT one ORDER BY one) FROM unnest(h.kept_back || u.requests)"
    " AS one) FROM (SELECT k.hold_id, array_agg(DISTINCT t.request_id) AS requests FROM request_tokens t"
    " JOIN hold_tokens k USING (token) WHERE t.request_id = ANY(CAST(:ids AS text[])) GROUP BY k.hold_id) u"
    " WHERE h.hold_id = u.hold_id AND h.released_at IS NULL AND h.until_at > :now AND :holder = ANY(h.holders)"
    " RETURNING h.*, u.requests AS concerned"
)
_IN_FORCE = text(
    "SELECT h.*, u.requests AS concerned FROM holds h"
    " JOIN (SELECT k.hold_id, array_agg(DISTINCT t.request_id) AS requests FROM request_tokens t"
    " JOIN hold_tokens k USING (token) WHERE t.request_id = ANY(CAST(:ids AS text[])) GROUP BY k.hold_id) u"
    " USING (hold_id) WHERE h.released_at IS NULL AND h.until_at > :now AND :holder = ANY(h.holders)"
)
_KEPT_BACK = text(
    "SELECT h.*, h.kept_back AS concerned FROM holds h WHERE h.kept_back && CAST(:ids AS text[])"
    " AND :holder = ANY(h.holders)"
)
# The tokens of the ledger are fewer than those of a request, but all that there is of one whose rows were lost. Such a
# request has no task that would note what a hold keeps of it.
_OF_ERASURES = text(
    "WITH read AS (SELECT e.request_id, e.tokens, NOT EXISTS (SELECT FROM tasks t WHERE t.request_id = e.request_id)"
    " AS alone FROM erasure_ledger e WHERE e.sequence BETWEEN :first AND :last),"
    " named AS (SELECT request_id, alone, unnest(tokens) AS token FROM read UNION"
    " SELECT e.request_id, e.alone, t.token FROM read e JOIN request_tokens t USING (request_id)),"
    " met AS (SELECT k.hold_id, array_agg(DISTINCT n.request_id) AS requests,"
    " coalesce(array_agg(DISTINCT n.request_id) FILTER (WHERE n.alone), '{}') AS alone"
    " FROM named n JOIN hold_tokens k USING (token) GROUP BY k.hold_id)"
    " UPDATE holds h SET kept_back = (SELECT coalesce(array_agg(DISTINCT one ORDER BY one), '{}')"
    " FROM unnest(h.kept_back || m.alone) AS one) FROM met m"
    " WHERE h.hold_id = m.hold_id AND h.released_at IS NULL AND h.until_at > :now AND :holder = ANY(h.holders)"
    " RETURNING h.*, m.requests AS concerned"
)
_TOO_LATE = text(
    "SELECT DISTINCT r.request_id, r.state FROM request_tokens t JOIN requests r USING (request_id)"
    " WHERE t.token = ANY(CAST(:tokens AS bytea[])) AND r.\"right\" = 'ERASURE' AND r.closed_at IS NULL"
    " AND r.state IN ('EXECUTING', 'VERIFYING')"
)
_LOCK_ERASURES = text(
    "SELECT r.request_id FROM requests r WHERE r.request_id IN (SELECT request_id FROM request_tokens"
    " WHERE token = ANY(CAST(:tokens AS bytea[]))) AND r.\"right\" = 'ERASURE' AND r.closed_at IS NULL"
    " ORDER BY r.request_id FOR UPDATE OF r"
)
_RELEASE = text("UPDATE holds SET released_at = :now WHERE hold_id = :hold_id")
# Where letters about an erasure, or about one that has gone on after it, go to.
_REPLIES = text(
    "SELECT f.first, c.request_id, c.sealed FROM unnest(CAST(:firsts AS text[])) AS f(first) JOIN correspondents c"
    " ON c.request_id = f.first OR c.request_id IN (SELECT request_id FROM requests WHERE parent_id = f.first"
    " AND \"right\" = 'ERASURE') ORDER BY c.request_id FOR UPDATE OF c"
)
_LOOK_AGAIN = text("UPDATE correspondents SET seen = '' WHERE request_id = ANY(CAST(:ids AS text[]))")
# Of requests that retention has removed nobody would look again.
_DESTROY = text(
    "DELETE FROM correspondents c WHERE c.request_id = ANY(CAST(:ids AS text[]))"
    " AND NOT EXISTS (SELECT FROM requests r WHERE r.request_id = c.request_id)"
    " AND NOT EXISTS (SELECT FROM holds h WHERE h.released_at IS NULL AND c.request_id = ANY(h.kept_back))"
)
_RESUMED = text("UPDATE holds SET resumed = CAST(:requests AS text[]) WHERE hold_id = :hold_id")
_ENDED = text("SELECT hold_id FROM holds WHERE released_at IS NULL AND until_at <= :now ORDER BY until_at LIMIT :limit")
# Erasures at which every holder said that nothing stayed have nothing to go on with.
_RESUMABLE = text(
    "SELECT k.request_id, r.parent_id, r.door, r.regime, r.ledger_token, e.tokens"
    " FROM unnest(CAST(:ids AS text[])) AS k(request_id)"
    " LEFT JOIN requests r USING (request_id)"
    " LEFT JOIN erasure_ledger e ON e.request_id = coalesce(nullif(r.parent_id, ''), k.request_id)"
    " WHERE r.request_id IS NULL OR EXISTS (SELECT FROM tasks t WHERE t.request_id = k.request_id"
    " AND t.phase = 'ERASE' AND (t.outcome IS NULL OR t.outcome IN ('RETAINED', 'NEEDS_HUMAN')))"
    " ORDER BY k.request_id"
)


async def leased(
    connection: Connection, holder: str, phase: Phase, request_ids: Sequence[str], now: datetime
) -> dict[str, list[Hold]]:
    """What stays at a holder, by request, for tasks of this phase that are handed out now.

    An ERASE is written down at each hold that goes with it, and the SWEEP behind it leaves out what that ERASE did.
    With the ATTEST of an erasure goes what would go with an ERASE: a database restored meanwhile erases once more.
    """
    query = {Phase.ERASE: _USE, Phase.ATTEST: _USE, Phase.SWEEP: _KEPT_BACK}.get(phase, _IN_FORCE)
    binds: dict[str, Any] = {"ids": list(request_ids), "holder": holder}
    if query is not _KEPT_BACK:
        binds["now"] = now
    return _by_request(await connection.execute(query, binds), request_ids)


async def of_erasures(
    connection: Connection, holder: str, sequences: tuple[int, int], request_ids: Sequence[str], now: datetime
) -> dict[str, list[Hold]]:
    """What stays at a holder now, by erasure of the ledger between two numbers.

    An erasure without tasks, whose request was lost or is long gone, is written down at each hold here.
    """
    binds = {"first": sequences[0], "last": sequences[1], "holder": holder, "now": now}
    return _by_request(await connection.execute(_OF_ERASURES, binds), request_ids)


def _by_request(rows: Iterable[Any], request_ids: Sequence[str]) -> dict[str, list[Hold]]:
    found: dict[str, list[Hold]] = {}
    wanted = frozenset(request_ids)
    for row in rows:
        for request_id in wanted & frozenset(row.concerned):
            found.setdefault(request_id, []).append(_hold(row))
    return found


def _hold(row: Any) -> Hold:  # noqa: ANN401 - a row of holds
    return Hold(
        hold_id=row.hold_id,
        groups=tuple(zip(row.holders, row.stores, strict=True)),
        ground=row.ground,
        reason=row.reason,
        until=row.until_at,
        review_at=row.review_at,
        placed_at=row.placed_at,
        placed_by=row.placed_by,
        released_at=row.released_at,
        kept_back=tuple(row.kept_back),
        resumed=tuple(row.resumed),
    )


async def lock_erasures(connection: Connection, tokens: Sequence[bytes]) -> list[tuple[str, State]]:
    """Keeps the open erasures of a person from going on; answers those that destroy already."""
    await connection.execute(_LOCK_ERASURES, {"tokens": list(tokens)})
    rows = await connection.execute(_TOO_LATE, {"tokens": list(tokens)})
    return [(row.request_id, State(row.state)) for row in rows]


async def place(connection: Connection, hold: Hold, tokens: Iterable[bytes]) -> None:
    """Writes a hold."""
    row = {
        "hold_id": hold.hold_id,
        "holders": [holder for holder, _ in hold.groups],
        "stores": [store for _, store in hold.groups],
        "ground": hold.ground,
        "reason": hold.reason,
        "until_at": hold.until,
        "review_at": hold.review_at,
        "placed_at": hold.placed_at,
        "placed_by": hold.placed_by,
    }
    await connection.execute(holds.insert().values(row))
    named = [{"token": token, "hold_id": hold.hold_id, "until_at": hold.until} for token in sorted(set(tokens))]
    await connection.execute(hold_tokens.insert(), named)


async def lock(connection: Connection, hold_id: str) -> Hold | None:
    """A hold, locked."""
    row = (await connection.execute(select(holds).where(holds.c.hold_id == hold_id).with_for_update())).first()
    return None if row is None else _hold(row)


async def tokens(connection: Connection, hold_id: str) -> tuple[bytes, ...]:
    """Whose data a hold keeps."""
    wanted = select(hold_tokens.c.token).where(hold_tokens.c.hold_id == hold_id).order_by(hold_tokens.c.token)
    return tuple(map(bytes, (await connection.execute(wanted)).scalars()))


async def release(connection: Connection, hold_id: str, now: datetime) -> None:
    """Ends a hold."""
    await connection.execute(_RELEASE, {"hold_id": hold_id, "now": now})


async def resumed(connection: Connection, hold_id: str, request_ids: Sequence[str]) -> None:
    """Notes which requests went on after a hold."""
    await connection.execute(_RESUMED, {"hold_id": hold_id, "requests": list(request_ids)})


async def replies(connection: Connection, firsts: Iterable[str]) -> dict[str, tuple[str, bytes]]:
    """Where letters about erasures go to, locked: by the first of kin the request it was sealed for, and the seal."""
    rows = await connection.execute(_REPLIES, {"firsts": list(firsts)})
    return {row.first: (row.request_id, bytes(row.sealed)) for row in rows}


async def let_go(connection: Connection, request_ids: Sequence[str]) -> None:
    """A hold keeps nothing back of these any more: addresses that no other one needs are destroyed."""
    await connection.execute(_LOOK_AGAIN, {"ids": list(request_ids)})
    await connection.execute(_DESTROY, {"ids": list(request_ids)})


async def ended(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Holds whose time is over and that nobody has released."""
    return list((await connection.execute(_ENDED, {"now": now, "limit": limit})).scalars())


async def resumable(connection: Connection, request_ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """Those of the erasures that may have left something: with kin, door, law and the tokens of the first of them.

    What the ledger has forgotten has neither.
    """
    rows = await connection.execute(_RESUMABLE, {"ids": list(request_ids)})
    return [dict(row) for row in rows.mappings()]


async def every(
    connection: Connection, *, with_released: bool, review_due: datetime | None = None, limit: int = 500
) -> list[Hold]:
    """Holds, the newest first; those alone that somebody must look at, when a moment is given."""
    wanted = select(holds).order_by(holds.c.placed_at.desc(), holds.c.hold_id.desc()).limit(limit)
    if not with_released:
        wanted = wanted.where(holds.c.released_at.is_(None))
    if review_due is not None:
        wanted = wanted.where(holds.c.review_at <= review_due, holds.c.released_at.is_(None))
    return [_hold(row) for row in await connection.execute(wanted)]
