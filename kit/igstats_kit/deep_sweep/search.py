"""One search over all that a holder can reach: streams, exports, logs, all tables, and the files beneath them."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from igstats_kit.declare import Action, Declarations
from igstats_kit.deep_sweep import files, store, streams
from igstats_kit.deep_sweep.disk import NOT_REACHABLE, Disk
from igstats_kit.deep_sweep.model import Erased, Kind, Needles, Place, Report, Sought, Stored
from igstats_kit.errors import TooMuchError
from igstats_kit.events import Bus
from igstats_kit.permissions import Rights
from igstats_kit.sql import Database

# What the law keeps, and what leaves by age: the declaration says so, and so does the receipt.
_STAYING = (Action.RETAIN, Action.EXPIRE)


Archive = Callable[[], AsyncIterator[Stored]]


@dataclass(frozen=True)
class Reach:
    """What a holder can search besides its tables; None and empty: not reachable."""

    bus: Bus | None = None
    rights: Rights = field(default_factory=Rights)
    archives: Sequence[Archive] = ()
    log_file: Path | None = None
    database_directory: Path | None = None
    rewrite_megabytes: int = 0


class Search:
    """Searches for the needles of a batch of erasures."""

    def __init__(self, declarations: Declarations, database: Database, reach: Reach) -> None:
        self.lawful = frozenset(
            table.name for table, found in declarations.stores() if found.on_erase.action in _STAYING
        )
        self._database = database
        self._reach = reach
        self._disk = Disk(database, reach.database_directory, reach.rewrite_megabytes)

    async def run(self, erasures: Sequence[Erased], needles: Needles) -> Report:
        """Searches everything once.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the run is repeated.
        """
        report = Report()
        if self._reach.bus is not None:
            await streams.search(self._reach.bus, self._reach.rights, needles, report)
        await self._search_archives(erasures, needles, report)
        await self._search_logs(needles, report)
        if sought := needles.sought():
            await self._search_tables(sought, report)
        await self._disk.search(needles, report, self.lawful.union(*(erased.kept for erased in erasures)))
        return report

    async def _search_archives(self, erasures: Sequence[Erased], needles: Needles, report: Report) -> None:
        """A copy made after the erasure holds what the person gave us since; an older one holds what was erased."""
        since = {erased.request_id: erased.erased_at for erased in erasures}
        for archive in self._reach.archives:
            async for one in archive():
                report.searched[Kind.EXPORT] += 1
                found = needles.within(one.content)
                report.add((name for name in found if one.created_at <= since[name]), Place(Kind.EXPORT, one.name))

    async def _search_logs(self, needles: Needles, report: Report) -> None:
        if self._reach.log_file is None:
            report.unreachable[Kind.LOG] = NOT_REACHABLE
            return
        for path in files.log_files(self._reach.log_file):
            owners = await files.within(path, needles)
            report.searched[Kind.LOG] += owners is not None
            report.add(owners or (), Place(Kind.LOG, path.name))

    async def _search_tables(self, sought: Sequence[Sought], report: Report) -> None:
        async with self._database.read() as connection:
            tables = await store.tables(connection)
        for table in tables:
            if not table.readable:
                report.unreachable[f"table:{table.name}"] = "NOT_ALLOWED"
                continue
            try:
                found = await store.within(self._database, table, sought)
            except TooMuchError:  # the next search would end as this one: the record says so, and the others go on
                report.unreachable[f"table:{table.name}"] = "TOO_LARGE"
                continue
            report.searched[Kind.TABLE] += 1
            report.add(found, Place(Kind.TABLE, table.name))
        await store.forget_samples(self._database, sought)
