"""Removal of profiles whose owners have left: the profile, and every row of every table that belongs to one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from igstats_kit.fence import lock
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.tables import pins
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_stats.store.fenced import restricted
from igstats_stats.tables import metadata, profiles

# All tables that point at profiles, so that a new one needs no word here.
_BELONGING = tuple(
    table for table in metadata.sorted_tables if any(key.column.table is profiles for key in table.foreign_keys)
)


class DepartureStore:
    """Finds and removes them in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, departed_until: datetime, now: datetime, limit: int) -> int:
        """Removes up to `limit` profiles and leaves an audit record of how many rows went; how many profiles.

        As erasure does, it takes the locks of the persons first and looks again: who has come back meanwhile stays.
        """
        async with self._database.transaction() as connection:
            found = await self._due(connection, departed_until, limit)
            await lock(connection, [token for row in found for token in row[1:] if token is not None], exclusive=True)
            mine = profiles.c.profile_id.in_([row.profile_id for row in found])
            rows = await self._due(connection, departed_until, limit, mine)
            if rows:
                removed = await self._delete(connection, rows)
                await record(connection, "stats", "departures.removed", {"stores": removed}, now=now)
        return len(rows)

    @staticmethod
    async def _due(
        connection: AsyncConnection, departed_until: datetime, limit: int, *conditions: ColumnElement[bool]
    ) -> Sequence[Any]:
        names = (profiles.c.profile_id, profiles.c.user_token, profiles.c.username_token, profiles.c.app_user_token)
        due = select(*names).where(profiles.c.departed_at <= departed_until, ~restricted(), *conditions)
        return (await connection.execute(due.order_by(profiles.c.departed_at).limit(limit))).all()

    @staticmethod
    async def _delete(connection: AsyncConnection, rows: Sequence[Any]) -> dict[str, int]:
        gone = [row.profile_id for row in rows]
        removed = {}
        for table in (*reversed(_BELONGING), profiles):
            removed[table.name] = (await connection.execute(delete(table).where(table.c.profile_id.in_(gone)))).rowcount
        await connection.execute(delete(pins).where(pins.c.token.in_([row.user_token for row in rows])))
        return removed
