"""Retention derived from the declarations: what is past its age goes, restricted persons' data is skipped and reported.

The skip follows the Irish DPC's reading of GDPR 18: a restriction forbids erasure, too, until it is lifted.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Date, Table, delete, func, insert, not_, select, text
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
_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('igstats-retention'))")
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
        """Applies all rules now and leaves an audit record. A dry run answers what would go and changes nothing."""
        async with self._database.transaction() as connection:
            if not await connection.scalar(_LOCK):
                return []  # another replica is at it
            removals = [
                await self._apply(connection, table, store.retention, dry_run=dry_run)
                for table, store in self._declarations.stores()
                if store.retention.days is not None and not store.retention.own
            ]
            if not dry_run:
                await self._report(connection, removals)
        return removals

    async def _report(self, connection: AsyncConnection, removals: Sequence[Removal]) -> None:
        run_id, now = str(ULID()).lower(), self._clock.now()
        touched = [asdict(removal) for removal in removals if removal.removed or removal.skipped]
        if touched:
            rows = [{"run_id": run_id, "created_at": now, **row} for row in touched]
            await connection.execute(insert(retention_runs), rows)
        payload = {"run_id": run_id, "stores": touched}
        await record(connection, self._service, "retention.ran", payload, now=now)

    async def _apply(self, connection: AsyncConnection, table: Table, rule: Retention, *, dry_run: bool) -> Removal:
        old = self._past(table, rule)
        free = plan.unrestricted(self._declarations, table)
        skipped = await _count(connection, table, old, not_(free))
        if dry_run:
            return Removal(table.name, await _count(connection, table, old, free), skipped)
        if rule.partitioned:
            removed = await self._drop_partitions(connection, table, rule, free)
        else:
            removed = (await connection.execute(delete(table).where(old, free))).rowcount
        return Removal(table.name, removed, skipped)

    def _past(self, table: Table, rule: Retention) -> ColumnElement[bool]:
        column = table.columns[rule.column]
        limit = self._clock.now() - timedelta(days=rule.days or 0)
        return column <= (limit.date() if isinstance(column.type, Date) else limit)

    async def _drop_partitions(
        self, connection: AsyncConnection, table: Table, rule: Retention, free: ColumnElement[bool]
    ) -> int:
        """Drops whole day partitions: O(1) each. A partition with restricted rows loses only the others."""
        last = self._clock.now().date() - timedelta(days=rule.days or 0)
        column, removed = table.columns[rule.column], 0
        for name, bound in (await connection.execute(_PARTITIONS, {"parent": table.name})).all():
            start, end = _bounds(bound)
            if start > last:
                continue
            inside = (column >= start) & (column < end)
            removed += await _count(connection, table, inside, free)
            if await _count(connection, table, inside, not_(free)):
                await connection.execute(delete(table).where(inside, free))
            else:
                await connection.execute(text(f'DROP TABLE "{name}"'))
        return removed


def _bounds(expression: str) -> tuple[date, date]:
    """Bounds of a day partition, from "FOR VALUES FROM ('2026-11-01') TO ('2026-11-02')"."""
    parts = expression.split("'")
    return date.fromisoformat(parts[1]), date.fromisoformat(parts[3])


async def _count(connection: AsyncConnection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return await connection.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
