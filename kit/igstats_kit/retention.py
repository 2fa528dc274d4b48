"""Retention derived from the declarations: what is past its age goes, restricted persons' data is skipped and reported.

The skip follows the Irish DPC's reading of GDPR 18: a restriction forbids erasure, too, until it is lifted.
"""

import asyncio
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Date, Delete, Table, any_, delete, func, literal_column, not_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from ulid import ULID

from igstats_kit import plan
from igstats_kit.clock import Clock
from igstats_kit.declare import Declarations, Retention
from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.tables import retention_runs

_PARTITIONS = text(
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = CAST(:parent AS regclass) ORDER BY c.relname"
)
# A batch may have to look for its rows for long; it locks no more than it deletes.
_PATIENCE = text("SET LOCAL statement_timeout = '600s'")
_BATCH = 5_000
_RETRY_SECONDS = 60.0

_log = get_logger()


@dataclass(frozen=True)
class Removal:
    """What a run did to one store; `skipped` rows are past their age but belong to restricted persons."""

    store: str
    removed: int
    skipped: int


class RetentionWorker:
    """Applies the retention rules of one service's declarations once a day, just after midnight UTC."""

    def __init__(self, service: str, declarations: Declarations, database: Database, clock: Clock) -> None:
        self._service = service
        self._declarations = declarations
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Runs at start and after every midnight UTC until cancelled."""
        while True:
            try:
                await self.run_once()
            except DomainError as error:
                _log.warning("retention waits", reason=error.reason)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            now = self._clock.now()
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
            await asyncio.sleep((midnight - now).total_seconds() + 1)

    async def run_once(self, *, dry_run: bool = False) -> list[Removal]:
        """Applies all rules now and leaves an audit record. A dry run answers what would go and changes nothing.

        Rows go in batches, each in a transaction of its own that counts it in `retention_runs`: a backlog of any size
        ends, and what a run has removed before it was stopped stays on record.
        """
        rules = [
            (table, store.retention)
            for table, store in self._declarations.stores()
            if store.retention.days is not None and not store.retention.own
        ]
        async with self._database.first("retention") as mine:
            if not mine:
                return []  # another replica is at it
            if dry_run:
                return [await self._foresee(table, rule) for table, rule in rules]
            run_id = str(ULID()).lower()
            removals = [await self._apply(run_id, table, rule) for table, rule in rules]
            await self._report(run_id, removals)
        return removals

    async def _report(self, run_id: str, removals: list[Removal]) -> None:
        touched = [asdict(removal) for removal in removals if removal.removed or removal.skipped]
        payload = {"run_id": run_id, "stores": touched}
        async with self._database.transaction() as connection:
            await record(connection, self._service, "retention.ran", payload, now=self._clock.now())

    async def _foresee(self, table: Table, rule: Retention) -> Removal:
        old, free = self._past(table, rule), plan.unrestricted(self._declarations, table)
        async with self._database.read() as connection:
            removed = await _count(connection, table, old, free)
            return Removal(table.name, removed, await _count(connection, table, old, not_(free)))

    async def _apply(self, run_id: str, table: Table, rule: Retention) -> Removal:
        old, free = self._past(table, rule), plan.unrestricted(self._declarations, table)
        if rule.partitioned:
            removed = await self._drop_partitions(run_id, table, rule, free)
        else:
            removed = await self._remove(run_id, table, old, free)
        async with self._database.transaction() as connection:  # what is still there is skipped
            await connection.execute(_PATIENCE)
            skipped = await _count(connection, table, old, not_(free))
            await self._note(connection, run_id, Removal(table.name, 0, skipped))
        return Removal(table.name, removed, skipped)

    async def _remove(self, run_id: str, table: Table, *conditions: ColumnElement[bool]) -> int:
        """Deletes what the conditions say, batch by batch."""
        removed, query = 0, _some(table, *conditions)
        while True:
            async with self._database.transaction() as connection:
                await connection.execute(_PATIENCE)
                gone = (await connection.execute(query)).rowcount
                await self._note(connection, run_id, Removal(table.name, gone, 0))
            removed += gone
            if gone < _BATCH:
                return removed

    async def _note(self, connection: AsyncConnection, run_id: str, removal: Removal) -> None:
        if removal.removed or removal.skipped:
            noted = insert(retention_runs).values(run_id=run_id, created_at=self._clock.now(), **asdict(removal))
            sums = {name: retention_runs.c[name] + noted.excluded[name] for name in ("removed", "skipped")}
            await connection.execute(noted.on_conflict_do_update(index_elements=["run_id", "store"], set_=sums))

    def _past(self, table: Table, rule: Retention) -> ColumnElement[bool]:
        column = table.columns[rule.column]
        limit = self._clock.now() - timedelta(days=rule.days or 0)
        return column <= (limit.date() if isinstance(column.type, Date) else limit)

    async def _drop_partitions(self, run_id: str, table: Table, rule: Retention, free: ColumnElement[bool]) -> int:
        """Drops whole day partitions: O(1) each. A partition with restricted rows loses only the others."""
        last = self._clock.now().date() - timedelta(days=rule.days or 0)
        column, removed = table.columns[rule.column], 0
        async with self._database.read() as connection:
            partitions = (await connection.execute(_PARTITIONS, {"parent": table.name})).all()
        for name, bound in partitions:
            start, end = _bounds(bound)
            if start <= last:
                inside = (column >= start) & (column < end)
                async with self._database.transaction() as connection:
                    await connection.execute(_PATIENCE)
                    gone = await _count(connection, table, inside, free)
                    whole = not await _count(connection, table, inside, not_(free))
                    await connection.execute(
                        text(f'DROP TABLE "{name}"') if whole else delete(table).where(inside, free)
                    )
                    await self._note(connection, run_id, Removal(table.name, gone, 0))
                removed += gone
        return removed


def _some(table: Table, *conditions: ColumnElement[bool]) -> Delete:
    """Deletes a batch of the rows that the conditions mean. Those that somebody has locked wait for the next run."""
    place: ColumnElement[object] = literal_column(f'"{table.name}".ctid')
    wanted = select(place).select_from(table).where(*conditions).limit(_BATCH)
    found = wanted.with_for_update(skip_locked=True, of=table).correlate(None).scalar_subquery()
    return delete(table).where(place == any_(func.array(found)))


def _bounds(expression: str) -> tuple[date, date]:
    """Bounds of a day partition, from "FOR VALUES FROM ('2026-11-01') TO ('2026-11-02')"."""
    parts = expression.split("'")
    return date.fromisoformat(parts[1]), date.fromisoformat(parts[3])


async def _count(connection: AsyncConnection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return await connection.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
