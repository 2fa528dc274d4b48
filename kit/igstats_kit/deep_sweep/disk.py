"""Searches the raw files of the database and its log of changes, where the service can reach them.

Deleted rows keep their bytes until their page is rewritten: a small table in whose files only dead rows hold the values
is rewritten first, and what is found after that is named.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from igstats_kit.deep_sweep import files, store
from igstats_kit.deep_sweep.model import Kind, Needles, Place, Report
from igstats_kit.deep_sweep.store import Relation
from igstats_kit.sql import Database

_MEGABYTE = 1024 * 1024
NOT_REACHABLE = "NOT_REACHABLE"
NOT_ALLOWED = "NOT_ALLOWED"


@dataclass
class _Hit:
    """Values in the files of one table; `relation` is None for a file that no table owns any more."""

    relation: Relation | None
    owners: set[str] = field(default_factory=set)


class Disk:
    """The data directory of the server, None where the service cannot reach it."""

    def __init__(self, database: Database, directory: Path | None, rewrite_megabytes: int) -> None:
        self._database = database
        self._directory = directory
        self._rewrite_bytes = rewrite_megabytes * _MEGABYTE

    async def search(self, needles: Needles, report: Report, lawful: frozenset[str]) -> None:
        """Searches the files of this database, and the log of changes of the whole server."""
        try:
            if self._directory is not None:
                await self._search_tables(self._directory / "base", needles, report, lawful)
                await self._search_changes(self._directory / "pg_wal", needles, report)
                return
        except PermissionError:
            pass
        report.unreachable |= dict.fromkeys((Kind.DATABASE_FILE, Kind.WAL), NOT_REACHABLE)

    async def _search_tables(self, base: Path, needles: Needles, report: Report, lawful: frozenset[str]) -> None:
        if not await store.attempted(self._database, "CHECKPOINT"):
            report.unreachable["checkpoint"] = NOT_ALLOWED
        found = await self._hits(base, needles, report)
        if await self._rewrite(found, report, lawful):
            found = await self._hits(base, needles, report)
        for name, hit in found.items():
            report.add(hit.owners, Place(Kind.DATABASE_FILE, name))

    async def _rewrite(self, found: Mapping[str, _Hit], report: Report, lawful: frozenset[str]) -> bool:
        """Rewrites small tables whose live rows do not hold the values. Answers whether there were any."""
        live = {place.name for places in report.found.values() for place in places if place.kind is Kind.TABLE}
        for name, hit in found.items():
            if hit.relation is None or hit.relation.size > self._rewrite_bytes or name in live | lawful:
                continue
            if await store.attempted(self._database, f"VACUUM (FULL) {hit.relation.quoted}"):
                report.rewritten.add(name)
        if report.rewritten:
            await store.attempted(self._database, "CHECKPOINT")  # the old files go with it
        return bool(report.rewritten)

    async def _hits(self, base: Path, needles: Needles, report: Report) -> dict[str, _Hit]:
        async with self._database.read() as connection:
            relations, folder = await store.relations(connection), base / await store.folder(connection)
        hits: dict[str, _Hit] = {}
        report.searched[Kind.DATABASE_FILE] = 0
        for path in await asyncio.to_thread(files.of, folder):
            node = path.name.partition(".")[0]
            if not node.isdecimal():
                continue  # maps of free space: they hold no rows
            owners = await files.within(path, needles)
            report.searched[Kind.DATABASE_FILE] += owners is not None
            if owners:
                relation = relations.get(int(node))
                name = f"file {path.name}" if relation is None else relation.name
                hits.setdefault(name, _Hit(relation)).owners.update(owners)
        return hits

    async def _search_changes(self, folder: Path, needles: Needles, report: Report) -> None:
        """Ends the running segment, so that the server lets go of it, and searches those that are still there."""
        if not await store.attempted(self._database, "SELECT pg_switch_wal()"):
            report.unreachable["pg_switch_wal"] = NOT_ALLOWED
        await store.attempted(self._database, "CHECKPOINT")
        for path in await asyncio.to_thread(files.of, folder):
            owners = await files.within(path, needles)
            report.searched[Kind.WAL] += owners is not None
            report.add(owners or (), Place(Kind.WAL, path.name))
