"""Profiles that nobody reads any more: since when, and their removal with every row that belongs to one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from igstats_kit.fence import lock
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.tables import pins
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_stats.store.fenced import restricted
from igstats_stats.tables import connections, metadata, profiles

# All tables that point at profiles, so that a new one needs no word here.
_BELONGING = tuple(
    table for table in metadata.sorted_tables if any(key.column.table is profiles for key in table.foreign_keys)
)
_CONNECTED = select(connections.c.profile_id).where(connections.c.profile_id == profiles.c.profile_id)
_UNCONNECTED = (profiles.c.departed_at.is_(None), ~_CONNECTED.correlate(profiles).exists())


class DepartureStore:
    """Finds and removes them in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, now: datetime, limit: int) -> int:
        """Notes on up to `limit` profiles that their last connection has gone, with a customer or by itself; how many.

        Whoever connects one holds the lock of its person, so under that lock no connection is on its way.
        """
        async with self._database.transaction() as connection:
            found = await self._rows(connection, limit, *_UNCONNECTED)
            await _lock(connection, found)
            mine = profiles.c.profile_id.in_([row.profile_id for row in found])
            noted = await connection.execute(update(profiles).where(mine, *_UNCONNECTED).values(departed_at=now))
        return noted.rowcount

    async def remove(self, departed_until: datetime, now: datetime, limit: int) -> int:
        """Removes up to `limit` profiles and leaves an audit record of how many rows went; how many profiles.

        As erasure does, it takes the locks of the persons first and looks again: who has come back meanwhile stays.
        """
        async with self._database.transaction() as connection:
            due = (profiles.c.departed_at <= departed_until, ~restricted())
            found = await self._rows(connection, limit, *due)
            await _lock(connection, found)
            mine = profiles.c.profile_id.in_([row.profile_id for row in found])
            rows = await self._rows(connection, limit, *due, mine)
            if rows:
                removed = await self._delete(connection, rows)
                await record(connection, "stats", "departures.removed", {"stores": removed}, now=now)
        return len(rows)

    @staticmethod
    async def _rows(connection: AsyncConnection, limit: int, *conditions: ColumnElement[bool]) -> Sequence[Any]:
        names = (profiles.c.profile_id, profiles.c.user_token, profiles.c.username_token, profiles.c.app_user_token)
        found = select(*names).where(*conditions).order_by(profiles.c.departed_at).limit(limit)
        return (await connection.execute(found)).all()

    @staticmethod
    async def _delete(connection: AsyncConnection, rows: Sequence[Any]) -> dict[str, int]:
        gone = [row.profile_id for row in rows]
        removed = {}
        for table in (*reversed(_BELONGING), profiles):
            removed[table.name] = (await connection.execute(delete(table).where(table.c.profile_id.in_(gone)))).rowcount
        await connection.execute(delete(pins).where(pins.c.token.in_([row.user_token for row in rows])))
        return removed


async def _lock(connection: AsyncConnection, rows: Sequence[Any]) -> None:
    await lock(connection, [token for row in rows for token in row[1:] if token is not None], exclusive=True)
