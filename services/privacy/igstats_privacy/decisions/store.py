"""SQL of decisions and of previews."""

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from igstats_privacy.decisions.decision import Decision, HolderPreview, Kind, Preview
from igstats_privacy.decisions.tables import decisions
from igstats_privacy.model import State, TaskState
from igstats_privacy.store import Connection

_APPROVED = text("UPDATE requests SET approved_at = :now WHERE request_id = :request_id")
_REASON = text("UPDATE requests SET reason = :reason WHERE request_id = :request_id")
_EXTENDED = text("UPDATE requests SET extended_at = :now, due_at = :due WHERE request_id = :request_id")
_LOCK_DUPLICATES = text(
    "SELECT request_id FROM requests WHERE closed_at IS NULL AND duplicate_of = :first ORDER BY request_id FOR UPDATE"
)
_DUE_OF_FIRST = text(
    "SELECT f.due_at FROM requests d JOIN requests f ON f.request_id = d.duplicate_of"
    " WHERE d.request_id = :request_id AND f.closed_at IS NULL"
)
_NEWEST_PREVIEW = text(
    "SELECT request_id, state FROM requests WHERE parent_id = :parent AND \"right\" = 'PREVIEW'"
    " ORDER BY request_id DESC"
)
_ANSWERS = text(
    "SELECT t.holder, t.state, r.receipt FROM tasks t LEFT JOIN receipts r ON r.request_id = t.request_id"
    " AND r.holder = t.holder AND r.phase = t.phase AND r.digest = t.receipt_digest"
    " WHERE t.request_id = :preview AND t.phase = 'PREVIEW' ORDER BY t.holder"
)


async def decide(connection: Connection, decision: Decision) -> bool:
    """Writes a decision; False when this officer has made it before."""
    row = {
        "request_id": decision.request_id,
        "kind": decision.kind,
        "officer": decision.officer,
        "reason": decision.reason,
        "explanation": decision.explanation,
        "decided_at": decision.decided_at,
    }
    added = await connection.execute(insert(decisions).values(row).on_conflict_do_nothing())
    return added.rowcount == 1


async def officers(connection: Connection, request_id: str) -> list[str]:
    """Who has approved a request."""
    wanted = select(decisions.c.officer).where(decisions.c.request_id == request_id)
    return list((await connection.execute(wanted.where(decisions.c.kind == Kind.APPROVAL))).scalars())


async def approve(connection: Connection, request_id: str, now: datetime) -> None:
    """Notes that enough officers have approved: no look of triage asks again."""
    await connection.execute(_APPROVED, {"request_id": request_id, "now": now})


async def refuse(connection: Connection, request_id: str, reason: str) -> None:
    """Writes why a request is refused."""
    await connection.execute(_REASON, {"request_id": request_id, "reason": reason})


async def extend(connection: Connection, request_id: str, due: datetime, now: datetime) -> None:
    """Puts the due time off."""
    await connection.execute(_EXTENDED, {"request_id": request_id, "due": due, "now": now})


async def lock_duplicates(connection: Connection, first: str) -> list[str]:
    """Locks the live requests that repeat this one; they are younger, as everybody locks in the order of ids."""
    return list((await connection.execute(_LOCK_DUPLICATES, {"first": first})).scalars())


async def due_of_first(connection: Connection, request_id: str) -> datetime | None:
    """The due time of the live request that this one repeats; None when it repeats none."""
    found: datetime | None = await connection.scalar(_DUE_OF_FIRST, {"request_id": request_id})
    return found


async def previews(connection: Connection, request_id: str) -> list[tuple[str, State]]:
    """The previews of an erasure, the newest first, and how they stand."""
    rows = await connection.execute(_NEWEST_PREVIEW, {"parent": request_id})
    return [(row.request_id, State(row.state)) for row in rows]


async def newest_preview(connection: Connection, request_id: str) -> Preview | None:
    """The newest preview of an erasure with the answers so far; None when nobody has asked."""
    found = await previews(connection, request_id)
    if not found:
        return None
    rows = await connection.execute(_ANSWERS, {"preview": found[0][0]})
    answers = tuple(HolderPreview(row.holder, TaskState(row.state), row.receipt or b"") for row in rows)
    return Preview(found[0][0], answers)
