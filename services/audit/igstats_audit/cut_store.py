"""The SQL of the cut: whole partitions leave, whatever they hold, in one commit with the new minimum index.

What has left is nobody's any more, and is dropped at once afterwards: the file system needs longer the larger the day
was, and no writer of the log should wait for that. Before, the calls of restricted persons come back from it: a
restriction forbids erasure, too, until it is lifted (the Irish DPC's reading of GDPR 18).
"""

from collections.abc import Sequence
from datetime import date, datetime

from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import Database
from igstats_kit.tables import restrictions
from sqlalchemy import Table, TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.entry_store import TABLES, partition
from igstats_audit.model import CutPlan, Log
from igstats_audit.store import PARTITIONED, PARTITIONING, TURN, partitioned
from igstats_audit.tables import access_entries, calls
from igstats_audit.tile_path import TILE_WIDTH

_BATCH = 5_000

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
_RESTRICTED = "subject_token = ANY(CAST(:tokens AS bytea[]))"


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
        async with self._database.read() as connection:
            days = set(await self._due(connection, plan))
        if not days and plan.end == plan.start:
            return
        async with self._database.transaction() as connection:
            # Writers in turn wait at this lock, the others at those of the tables: none can stand in our way.
            await connection.execute(TURN, {"log": plan.log})
            await connection.execute(text(f"LOCK TABLE {', '.join(parents)} IN ACCESS EXCLUSIVE MODE"))
            if plan.end != plan.start:
                await self._advance(connection, plan)
            for day in sorted(days.intersection(await self._old_days(connection, plan))):
                await self._take_out(connection, plan.log, day)

    async def drop(self) -> None:
        """Drops what cuts have taken out but the calls of restricted persons, also what a crash left behind.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        async with self._database.alone("cut"):
            left = await self._left()
            for day in [_day(name) for name in left if name == _taken_out(calls.name, _day(name))]:
                await self._bring_back(day)
            # Calls go before their entries: whoever goes on after a crash looks for restricted ones in both.
            for name in sorted(left, reverse=True):
                async with self._database.statement() as connection:
                    await connection.execute(text(f"DROP TABLE IF EXISTS {name}"))

    async def _left(self) -> Sequence[str]:
        async with self._database.read() as connection:
            return (await connection.execute(_LEFT, {"prefix": _TAKEN_OUT})).scalars().all()

    async def _bring_back(self, day: date) -> None:
        """Puts calls of restricted persons back into their day, piece by piece: no writer waits meanwhile."""
        async with self._database.read() as connection:
            tokens = await _restricted(connection)
        after = await self._bring_some_back(day, tokens, -1) if tokens else None
        while after is not None:
            after = await self._bring_some_back(day, tokens, after)

    async def _bring_some_back(self, day: date, tokens: Sequence[bytes], after: int) -> int | None:
        binds = {"tokens": tokens, "after": after, "limit": _BATCH}
        async with self._database.transaction() as connection:
            found: list[int] = list((await connection.execute(_next_restricted(day), binds)).scalars())
        if not found:
            return None
        async with self._database.transaction() as connection:
            await connection.execute(PARTITIONING)
            for parent in PARTITIONED[Log.ACCESS]:
                await connection.execute(text(partitioned(parent, day)))
        async with self._database.transaction() as connection:
            for table in (access_entries, calls):
                await connection.execute(_bring(table, day), {"indexes": found})
        return found[-1]

    async def _due(self, connection: AsyncConnection, plan: CutPlan) -> Sequence[date]:
        """Old days that hold more than calls of restricted persons. One that is not dropped yet waits for that."""
        left = set((await connection.execute(_LEFT, {"prefix": _TAKEN_OUT})).scalars())
        days = [day for day in await self._old_days(connection, plan) if not left & _names(plan.log, day)]
        tokens = await _restricted(connection) if plan.log is Log.ACCESS else []
        if not tokens:
            return days
        return [day for day in days if await connection.scalar(_has_others(day), {"tokens": tokens})]

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
        return sorted(day for day in map(_day, names) if day <= plan.day)

    async def _take_out(self, connection: AsyncConnection, log: Log, day: date) -> None:
        for parent in PARTITIONED[log]:
            name = partition(parent, day)
            await connection.execute(text(f"ALTER TABLE {parent} DETACH PARTITION {name}"))
            # Processes that have not heard of the cut read days by their names: there must be nothing for them to find.
            await connection.execute(text(f"ALTER TABLE {name} RENAME TO {_taken_out(parent, day)}"))


async def _restricted(connection: AsyncConnection) -> Sequence[bytes]:
    return (await connection.execute(select(restrictions.c.token))).scalars().all()


def _taken_out(parent: str, day: date) -> str:
    return f"{_TAKEN_OUT}{partition(parent, day)}"


def _names(log: Log, day: date) -> set[str]:
    return {_taken_out(parent, day) for parent in PARTITIONED[log]}


def _day(name: str) -> date:
    """The day in the name of a partition."""
    return datetime.strptime(name[-8:], "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone


def _next_restricted(day: date) -> TextClause:
    source = _taken_out(calls.name, day)
    query = f"SELECT index FROM {source} WHERE {_RESTRICTED} AND index > :after ORDER BY index LIMIT :limit"  # noqa: S608 - own names
    return text(query)


def _bring(table: Table, day: date) -> TextClause:
    columns = ", ".join(table.c.keys())
    source = f"SELECT {columns} FROM {_taken_out(table.name, day)} WHERE index = ANY(CAST(:indexes AS bigint[]))"  # noqa: S608 - own names
    return text(f"INSERT INTO {partition(table.name, day)} ({columns}) {source} ON CONFLICT DO NOTHING")


def _has_others(day: date) -> TextClause:
    entries, index = (partition(parent, day) for parent in PARTITIONED[Log.ACCESS])
    held = f"SELECT FROM {index} c WHERE c.index = e.index AND c.{_RESTRICTED}"
    return text(f"SELECT EXISTS (SELECT FROM {entries} e WHERE NOT EXISTS ({held}))")  # noqa: S608 - own names
