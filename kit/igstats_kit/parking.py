"""Parked events by hand: what stands there, and which of them its consumer shall handle again.

Only the consumer itself can do that, as nobody else may speak in the producer's name: a person marks the row, and the
running service hands the event to the same handler (`events.Consumer`), which takes the row away when it succeeds.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update

from igstats_kit.clock import Clock
from igstats_kit.sql import Database
from igstats_kit.tables import parked

_SHOWN = (parked.c.consumer, parked.c.event_id, parked.c.type, parked.c.error, parked.c.attempts, parked.c.created_at)


class Parking:
    """The parked events of one service."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def listed(self) -> Sequence[dict[str, Any]]:
        """All of them, the oldest first, without their content."""
        wanted = select(*_SHOWN, parked.c.repeatable, parked.c.asked_at.is_not(None).label("asked"))
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.order_by(parked.c.created_at, parked.c.event_id))
            return [dict(row) for row in rows.mappings()]

    async def ask(self, event_id: str) -> tuple[int, int]:
        """Asks for an event again, of every consumer that has parked it; answers how many will, and how many cannot.

        What a stream's order decides (`tail`) cannot come again later.
        """
        named = parked.c.event_id == event_id
        async with self._database.transaction() as connection:
            asked = update(parked).where(named, parked.c.repeatable).values(asked_at=self._clock.now())
            will = (await connection.execute(asked)).rowcount
            rest = select(func.count()).select_from(parked).where(named, ~parked.c.repeatable)
            return will, await connection.scalar(rest) or 0
