"""The SQL of the cut: whole partitions leave, whatever they hold, in one commit with the new minimum index.

What has left is nobody's any more, and is dropped at once afterwards: the file system needs longer the larger the day
was, and no writer of the log should wait for that.
"""

from collections.abc import Sequence
from datetime import date, datetime

from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database
from igstats_kit.tables import restrictions
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.entry_store import TABLES, partition
from igstats_audit.model import CutPlan, Log
from igstats_audit.store import PARTITIONED, TURN
from igstats_audit.tile_path import TILE_WIDTH

_END = text(
    "SELECT coalesce((SELECT d.first_index FROM log_days d WHERE d.log = :log AND d.day > CAST(:day AS date)"
    " ORDER BY d.day LIMIT 1), h.size) FROM heads h WHERE h.log = :log"
)
_PARTITIONS = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = CAST(:parent AS regclass)"
)
_TAKEN_OUT = "cut_"
_LEFT = text(
    "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)"
    " AND starts_with(c.relname, CAST(:prefix AS text))"
)
# The epoch counts cuts, too: a writer on the head from before must read anew.
_ADVANCE = text(
    "UPDATE heads SET minimum_index = :end, epoch = epoch + 1 WHERE log = :log AND minimum_index = :start"
    " AND minimum_index < CAST(:end AS bigint)"
)
_FORGET_LEAVES = text("DELETE FROM tiles WHERE log = :log AND level = 0")
_KEEP_LEAVES = text("INSERT INTO tiles (log, level, place, hashes) VALUES (:log, 0, :place, :leaves)")
_FORGET_DAYS = text("DELETE FROM log_days WHERE log = :log AND day <= CAST(:day AS date)")
_FORGET_KEYS = text(
    "DELETE FROM data_keys d USING entry_ids e WHERE e.day <= CAST(:day AS date) AND e.request_id <> ''"
    " AND d.log = 'evidence' AND d.subject = e.request_id AND NOT EXISTS"
    " (SELECT FROM entry_ids n WHERE n.request_id = e.request_id AND n.day > CAST(:day AS date))"
)
_FORGET_IDS = text("DELETE FROM entry_ids WHERE day <= CAST(:day AS date)")


class SqlCuts:
    """Cuts logs in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end(self, log: Log, day: date) -> int:
        """Index of the first entry after the day: the new minimum index."""
        async with self._database.read() as connection:
            return await connection.scalar(_END, {"log": log, "day": day}) or 0

    async def cut(self, plan: CutPlan) -> None:
        """Takes the days of the plan out of the log and advances the minimum index, in one commit: O(1).

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; also when the days have changed since the plan was made.
        """
        parents = PARTITIONED[plan.log]
        async with self._database.transaction() as connection:
            days = await self._old_days(connection, plan)
            if not days and plan.end == plan.start:
                return
            # Writers in turn wait at this lock, the others at those of the tables: none can stand in our way.
            await connection.execute(TURN, {"log": plan.log})
            await connection.execute(text(f"LOCK TABLE {', '.join(parents)} IN ACCESS EXCLUSIVE MODE"))
            if plan.end != plan.start:
                await self._advance(connection, plan)
            for day in await self._old_days(connection, plan):
                await self._take_out(connection, plan.log, day)

    async def drop(self) -> None:
        """Drops what cuts have taken out, also those that a crash left behind.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        async with self._database.read() as connection:
            left = (await connection.execute(_LEFT, {"prefix": _TAKEN_OUT})).scalars().all()
        for table in left:
            async with self._database.statement() as connection:
                await connection.execute(text(f"DROP TABLE IF EXISTS {table}"))

    async def _advance(self, connection: AsyncConnection, plan: CutPlan) -> None:
        if await connection.scalar(_END, {"log": plan.log, "day": plan.day}) != plan.end:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="log")
        advanced = await connection.execute(_ADVANCE, {"log": plan.log, "start": plan.start, "end": plan.end})
        if not advanced.rowcount:
            return  # another replica has made this cut
        await connection.execute(_FORGET_LEAVES, {"log": plan.log})
        if plan.kept_leaves:
            kept = {"place": plan.end // TILE_WIDTH, "leaves": b"".join(plan.kept_leaves)}
            await connection.execute(_KEEP_LEAVES, {"log": plan.log} | kept)
        await connection.execute(_FORGET_DAYS, {"log": plan.log, "day": plan.day})
        if plan.log is Log.EVIDENCE:
            await connection.execute(_FORGET_KEYS, {"day": plan.day})
            await connection.execute(_FORGET_IDS, {"day": plan.day})

    async def _old_days(self, connection: AsyncConnection, plan: CutPlan) -> Sequence[date]:
        table = TABLES[plan.log]
        names = (await connection.execute(_PARTITIONS, {"parent": table})).scalars().all()
        days = [datetime.strptime(name.removeprefix(f"{table}_"), "%Y%m%d").date() for name in names]  # noqa: DTZ007 - a date has no zone
        return sorted(day for day in days if day <= plan.day)

    async def _take_out(self, connection: AsyncConnection, log: Log, day: date) -> None:
        """Takes a day out. One with calls of restricted persons loses only the others until the restriction ends.

        The skip follows the Irish DPC's reading of GDPR 18: a restriction forbids erasure, too, until it is lifted.
        """
        names = [partition(parent, day) for parent in PARTITIONED[log]]
        if log is Log.ACCESS and await self._withdraw(connection, *names):
            return
        for parent, name in zip(PARTITIONED[log], names, strict=True):
            await connection.execute(text(f"ALTER TABLE {parent} DETACH PARTITION {name}"))
            # Processes that have not heard of the cut read days by their names: there must be nothing for them to find.
            await connection.execute(text(f"ALTER TABLE {name} RENAME TO {_TAKEN_OUT}{name}"))

    async def _withdraw(self, connection: AsyncConnection, entries: str, calls: str) -> bool:
        """Deletes all but the rows of restricted persons; False when there are none of those."""
        tokens = {"tokens": list((await connection.execute(select(restrictions.c.token))).scalars())}
        held = f"SELECT index FROM {calls} WHERE subject_token = ANY(CAST(:tokens AS bytea[]))"  # noqa: S608 - own names
        if not tokens["tokens"] or not await connection.scalar(text(f"SELECT EXISTS({held})"), tokens):
            return False
        for table in (entries, calls):
            await connection.execute(text(f"DELETE FROM {table} WHERE index NOT IN ({held})"), tokens)  # noqa: S608 - own names
        return True
