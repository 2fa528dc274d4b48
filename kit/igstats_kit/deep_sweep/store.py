"""SQL of the deep sweep: which erasures are due, and a look into every table of the database, declared or not.

Names that are put into statements come from the catalogue, quoted by it; values are always bound.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from igstats.holder.v1.receipt_pb2 import Receipt
from igstats.holder.v1.task_pb2 import Phase
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.deep_sweep.model import Sought
from igstats_kit.sql import Database

_DUE = text("SELECT request_id, sealed, erased_at FROM needles WHERE next_at <= :now ORDER BY next_at LIMIT :limit")
_KEPT = text(
    "SELECT request_id, receipt FROM task_receipts"
    " WHERE request_id = ANY(CAST(:request_ids AS text[])) AND phase = :phase"
)
_AGAIN = text("UPDATE needles SET next_at = :next_at WHERE request_id = ANY(CAST(:request_ids AS text[]))")
_DESTROY = text("DELETE FROM needles WHERE request_id = ANY(CAST(:request_ids AS text[]))")
_TABLES = text(
    "SELECT CASE n.nspname WHEN 'public' THEN root.relname ELSE n.nspname || '.' || root.relname END AS name,"
    " format('%I.%I', n.nspname, c.relname) AS quoted, has_table_privilege(c.oid, 'SELECT') AS readable"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_class root ON root.oid = coalesce(pg_partition_root(c.oid), c.oid)"
    " WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1, 2"
)
_WITHIN = (
    "WITH hit AS MATERIALIZED (SELECT lower(CAST(t AS text)) AS line FROM {} AS t WHERE CAST(t AS text) ~* :pattern)"
    " SELECT DISTINCT n.request_id FROM unnest(CAST(:forms AS text[]), CAST(:alone AS text[]),"
    " CAST(:request_ids AS text[])) AS n(form, alone, request_id)"
    " WHERE EXISTS (SELECT FROM hit WHERE strpos(hit.line, n.form) > 0 AND hit.line ~ n.alone)"
)
_SAMPLED = text(
    "SELECT DISTINCT format('%I.%I', schemaname, tablename) FROM pg_stats WHERE schemaname !~ '^pg_'"
    " AND CAST(pg_stats AS text) ~* :pattern"
)
_RELATIONS = text(
    "SELECT pg_relation_filenode(c.oid) AS node, owner.relname, n.nspname,"
    " CASE n.nspname WHEN 'public' THEN root.relname ELSE n.nspname || '.' || root.relname END AS name,"
    " format('%I.%I', n.nspname, owner.relname) AS quoted, pg_total_relation_size(owner.oid) AS size"
    " FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid"
    " LEFT JOIN pg_class toasted ON toasted.reltoastrelid = coalesce(i.indrelid, c.oid)"
    " JOIN pg_class owner ON owner.oid = coalesce(toasted.oid, i.indrelid, c.oid)"
    " JOIN pg_namespace n ON n.oid = owner.relnamespace"
    " JOIN pg_class root ON root.oid = coalesce(pg_partition_root(owner.oid), owner.oid)"
    " WHERE pg_relation_filenode(c.oid) IS NOT NULL AND owner.relkind IN ('r', 'm', 't')"
)
_DATABASE = text("SELECT CAST(oid AS text) FROM pg_database WHERE datname = current_database()")
_PATIENCE = text("SET LOCAL statement_timeout = '600s'")


class Due(NamedTuple):
    """Needles to search for."""

    request_id: str
    sealed: bytes
    erased_at: datetime


class Table(NamedTuple):
    """A table as it is declared, and as statements name it."""

    name: str
    quoted: str
    readable: bool


class Relation(NamedTuple):
    """A table that a file on disk belongs to, as rows, index or overflow."""

    name: str
    quoted: str
    size: int


async def due(connection: AsyncConnection, now: datetime, limit: int) -> list[Due]:
    """Erasures whose next search has come."""
    rows = await connection.execute(_DUE, {"now": now, "limit": limit})
    return [Due(row.request_id, bytes(row.sealed), row.erased_at) for row in rows]


async def kept(connection: AsyncConnection, request_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """Stores that the erasure left in place on a ground, as its receipt says."""
    binds = {"request_ids": list(request_ids), "phase": int(Phase.PHASE_ERASE)}
    rows = [(row.request_id, Receipt.FromString(bytes(row.receipt))) for row in await connection.execute(_KEPT, binds)]
    return {request_id: frozenset(one.store for one in receipt.retained) for request_id, receipt in rows}


async def search_again(connection: AsyncConnection, request_ids: Collection[str], next_at: datetime) -> None:
    """Sets when the needles are searched for next."""
    await connection.execute(_AGAIN, {"request_ids": list(request_ids), "next_at": next_at})


async def destroy(connection: AsyncConnection, request_ids: Collection[str]) -> None:
    """Destroys the needles: nothing is left to search for."""
    await connection.execute(_DESTROY, {"request_ids": list(request_ids)})


async def tables(connection: AsyncConnection) -> list[Table]:
    """Every table of the database, whoever made it."""
    return [Table(row.name, row.quoted, row.readable) for row in await connection.execute(_TABLES)]


async def within(database: Database, table: Table, sought: Sequence[Sought]) -> set[str]:
    """The requests whose values are in a live row of the table."""
    forms, alone, request_ids = map(list, zip(*sought, strict=True))
    binds = {"pattern": _pattern(forms), "forms": forms, "alone": alone, "request_ids": request_ids}
    async with database.transaction() as connection:
        await connection.execute(_PATIENCE)
        return set((await connection.execute(text(_WITHIN.format(table.quoted)), binds)).scalars())


def _pattern(forms: Collection[str]) -> str:
    return "|".join(sorted({re.escape(form) for form in forms}))


async def forget_samples(database: Database, sought: Sequence[Sought]) -> list[str]:
    """Takes the values out of the planner's statistics, which quote common values; answers tables that keep them."""
    pattern = {"pattern": _pattern([one.form for one in sought])}
    async with database.statement() as connection:
        for quoted in (await connection.execute(_SAMPLED, pattern)).scalars().all():
            await connection.execute(text(f"ANALYZE {quoted}"))
        return list((await connection.execute(_SAMPLED, pattern)).scalars())


async def relations(connection: AsyncConnection) -> dict[int, Relation]:
    """Tables by the numbers of their files."""
    rows = await connection.execute(_RELATIONS)
    return {row.node: Relation(row.name, row.quoted, row.size) for row in rows}


async def folder(connection: AsyncConnection) -> str:
    """Name of the folder with the files of this database."""
    return str(await connection.scalar(_DATABASE))


async def attempted(database: Database, statement: str) -> bool:
    """Runs a statement of maintenance; False when the role may not, or somebody is in the way."""
    async with database.statement() as connection:
        try:
            await connection.execute(text(statement))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return False
    return True
