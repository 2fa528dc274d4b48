"""SQL of the canaries."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from igstats_privacy.canaries.rules import Canary, Verdict
from igstats_privacy.canaries.tables import canaries
from igstats_privacy.store import Connection

_CANARY = [canaries.columns[field.name] for field in fields(Canary)]
_LIVE = canaries.c.ended_at.is_(None)
_LAST = text(
    "SELECT result, ended_at FROM canaries WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, canary_id DESC LIMIT 1"
)


async def live(connection: Connection) -> Canary | None:
    """The canary that has not ended."""
    wanted = select(*_CANARY).where(_LIVE).order_by(canaries.c.started_at, canaries.c.canary_id).limit(1)
    return _canary((await connection.execute(wanted)).first())


async def find(connection: Connection, canary_id: str) -> Canary | None:
    """A canary by its id."""
    return _canary((await connection.execute(select(*_CANARY).where(canaries.c.canary_id == canary_id))).first())


async def begin(connection: Connection, canary: Canary) -> bool:
    """Writes a new canary; False when there was one of this id before."""
    wanted = insert(canaries).values(**asdict(canary)).on_conflict_do_nothing()
    return (await connection.execute(wanted)).rowcount > 0


async def note(connection: Connection, canary: Canary) -> None:
    """Writes how far a canary has come."""
    wanted = update(canaries).where(canaries.c.canary_id == canary.canary_id, _LIVE)
    await connection.execute(wanted.values(sealed=canary.sealed, request_id=canary.request_id))


async def end(connection: Connection, canary_id: str, verdict: Verdict, now: datetime) -> bool:
    """Ends a canary and destroys its names; False when it had ended."""
    wanted = update(canaries).where(canaries.c.canary_id == canary_id, _LIVE)
    ended = wanted.values(sealed=None, ended_at=now, result=verdict.result, reason=verdict.reason)
    return (await connection.execute(ended)).rowcount > 0


async def last(connection: Connection) -> tuple[str, datetime] | None:
    """Result and end of the last one that ended."""
    row = (await connection.execute(_LAST)).first()
    return None if row is None else (row.result, row.ended_at)


def _canary(row: Sequence[Any] | None) -> Canary | None:
    return None if row is None else Canary(*row)
