"""The SQL that reads a log: its head, its leaves and tiles, its entries with their openings.

Rows are read from the partition of their day, by its name: a question to the whole table would lock every partition.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

from igstats_kit.seal import SealError
from igstats_kit.sql import Database
from sqlalchemy import Row, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.batch import seal_context
from igstats_audit.errors import LogForkedError
from igstats_audit.leaf import SALT_SIZE, SIZE, decode
from igstats_audit.model import DataKey, Entry, Head, Log, Place, Subject
from igstats_audit.tree import HASH_SIZE, Range

TABLES: Mapping[Log, str] = {Log.EVIDENCE: "evidence_entries", Log.ACCESS: "access_entries"}
_NO_TABLE = "42P01"
_TILE_WIDTH = 256

_HEAD = text("SELECT * FROM heads WHERE log = :log")
_DAYS = text(
    "SELECT h.size, d.day, d.first_index FROM heads h LEFT JOIN log_days d ON d.log = h.log WHERE h.log = :log"
    " ORDER BY d.day"
)
_MINIMUM = text("SELECT minimum_index FROM heads WHERE log = :log")
_TILE = text("SELECT hashes FROM tiles WHERE log = :log AND level = :level AND place = :place")
_OF_REQUEST = text("SELECT index AS at, day FROM entry_ids WHERE request_id = :request_id AND request_id <> ''")


class Keys(Protocol):
    """Where the data keys of entries come from, in the transaction of a connection."""

    async def of(self, connection: object, log: Log, subjects: Sequence[Subject]) -> Mapping[Subject, DataKey]:
        """The keys of subjects; makes those that are missing."""
        ...

    async def find(self, connection: object, key_ids: Sequence[str]) -> Mapping[str, DataKey]:
        """The keys that exist."""
        ...


def partition(table: str, day: date) -> str:
    """Name of the partition of a day."""
    return f"{table}_{day:%Y%m%d}"


class DayMap:
    """Which day an entry of a log stands in, as far as it was known when the log had `size` entries."""

    def __init__(self, size: int = 0, days: Sequence[tuple[int, date]] = ()) -> None:
        self.size = size
        self._firsts = [first for first, _ in days]
        self._days = [day for _, day in days]

    def day(self, index: int) -> date | None:
        """The day of an entry; None when it is cut."""
        at = bisect_right(self._firsts, index) - 1
        return self._days[at] if at >= 0 else None

    def spans(self, start: int, end: int) -> list[tuple[date, int, int]]:
        """The days of neighbouring entries, each with its own first and last but one."""
        found = []
        for at, day in enumerate(self._days):
            after = self._firsts[at + 1] if at + 1 < len(self._firsts) else end
            if max(start, self._firsts[at]) < min(end, after):
                found.append((day, max(start, self._firsts[at]), min(end, after)))
        return found


class EntryStore:
    """Reads one log."""

    def __init__(self, database: Database, log: Log, keys: Keys) -> None:
        self._database = database
        self._log = log
        self._keys = keys
        self._days = DayMap()

    @property
    def log(self) -> Log:
        """Which log."""
        return self._log

    async def head(self) -> Head:
        """Reads the head."""
        async with self._database.read() as connection:
            row = (await connection.execute(_HEAD, {"log": self._log})).one_or_none()
        if row is None:
            raise LogForkedError("the log has lost its head")
        return read_head(row)

    async def tile(self, level: int, place: int) -> bytes:
        """Reads the hashes of a tile of level 1 or more as far as they are there."""
        async with self._database.read() as connection:
            return await self._tile(connection, level, place)

    async def _tile(self, connection: AsyncConnection, level: int, place: int) -> bytes:
        binds = {"log": self._log, "level": level, "place": place}
        return bytes(await connection.scalar(_TILE, binds) or b"")

    async def leaves(self, start: int, end: int) -> Sequence[bytes]:
        """Reads the leaves from start up to but without end, or without the first that is cut or not there."""
        async with self._database.read() as connection:
            days = await self._known_days(connection, end)
            found = await self._leaves_by(connection, days, start, end)
            if days is not self._days:  # a day was cut since we read them, by another process perhaps
                found = await self._leaves_by(connection, await self._known_days(connection, end), start, end)
        return found

    async def _leaves_by(self, connection: AsyncConnection, days: DayMap, start: int, end: int) -> list[bytes]:
        found: list[bytes] = []
        if start < min(end, days.size) and days.day(start) is None:
            found = await self._kept_leaves(connection, start, end)
        for day, first, after in days.spans(start + len(found), end):
            if first != start + len(found):
                break
            found += await self._leaves(connection, day, first, after)
        return found

    async def _kept_leaves(self, connection: AsyncConnection, start: int, end: int) -> list[bytes]:
        """Cut leaves that share a tile with living ones."""
        place = start // _TILE_WIDTH
        kept = await self._tile(connection, 0, place)
        first, last = (start - place * _TILE_WIDTH) * SIZE, (end - place * _TILE_WIDTH) * SIZE
        return [kept[at : at + SIZE] for at in range(first, min(last, len(kept)), SIZE)]

    async def _leaves(self, connection: AsyncConnection, day: date, first: int, after: int) -> list[bytes]:
        query = (
            f"SELECT index AS at, leaf FROM {partition(TABLES[self._log], day)}"  # noqa: S608 - own names
            " WHERE index >= :first AND index < :after ORDER BY index"
        )
        rows = await self._rows(connection, query, {"first": first, "after": after})
        following = [row.leaf for at, row in enumerate(rows, start=first) if row.at == at]
        if len(following) < min(after, self._days.size) - first:
            self.forget_days()  # of a day that was cut, the calls of restricted persons may be here again
        return following

    async def _known_days(self, connection: AsyncConnection, end: int) -> DayMap:
        if end > self._days.size:
            rows = (await connection.execute(_DAYS, {"log": self._log})).all()
            days = [(row.first_index, row.day) for row in rows if row.day is not None]
            self._days = DayMap(rows[0].size if rows else 0, days)
        return self._days

    def forget_days(self) -> None:
        """Reads the days anew: some were cut."""
        self._days = DayMap()

    async def entry(self, index: int) -> Entry | None:
        """Reads an entry with its opening; None when it is cut or not there."""
        async with self._database.read() as connection:
            days = await self._known_days(connection, index + 1)
            day = days.day(index) if index < days.size else None
            found = await self.read(connection, [Place(index, day)]) if day is not None else []
            if found and index < await connection.scalar(_MINIMUM, {"log": self._log}):
                return None  # cut since we read the days, and kept because its person is restricted
        return found[0] if found else None

    async def entries(self, places: Sequence[Place]) -> Sequence[Entry]:
        """Reads entries with their openings, in log order; those that are cut are missing."""
        async with self._database.read() as connection:
            return await self.read(connection, places)

    async def entries_of(self, request_id: str) -> Sequence[Entry]:
        """Reads the entries of a request in log order."""
        async with self._database.read() as connection:
            rows = await connection.execute(_OF_REQUEST, {"request_id": request_id})
            return await self.read(connection, [Place(row.at, row.day) for row in rows])

    async def read(self, connection: AsyncConnection, places: Sequence[Place]) -> list[Entry]:
        """Reads entries by a given connection, in log order."""
        by_day: dict[date, list[int]] = defaultdict(list)
        for place in places:
            by_day[place.day].append(place.index)
        rows: list[Row[Any]] = []
        for day, indexes in by_day.items():
            table = partition(TABLES[self._log], day)
            query = f"SELECT e.index AS at, e.* FROM {table} e WHERE index = ANY(CAST(:indexes AS bigint[]))"  # noqa: S608 - own names
            rows += await self._rows(connection, query, {"indexes": indexes})
        key_ids = sorted({row.key_id for row in rows if row.key_id})
        keys = await self._keys.find(connection, key_ids) if key_ids else {}
        return sorted((self._entry(row, keys.get(row.key_id)) for row in rows), key=lambda entry: entry.index)

    async def _rows(self, connection: AsyncConnection, query: str, binds: dict[str, Any]) -> Sequence[Row[Any]]:
        try:
            return (await connection.execute(text(query), binds)).all()
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", "") != _NO_TABLE:
                raise
            self.forget_days()
            return []

    def _entry(self, row: Row[Any], key: DataKey | None) -> Entry:
        salt, payload, damaged = _opened(self._log, row, key)
        names = _evidence_names(row) if self._log is Log.EVIDENCE else _access_names(row)
        return Entry(
            index=row.at,
            day=row.day,
            **names,
            sequence=row.sequence,
            leaf=row.leaf,
            salt=salt,
            payload=payload,
            damaged=damaged,
        )


def _evidence_names(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("entry_id", "kind", "request_id", "producer", "occurred_at")}


def _access_names(row: Row[Any]) -> dict[str, Any]:
    """What the leaf of a call says in clear; nothing, if somebody has changed it: a proof will tell."""
    try:
        leaf = decode(row.leaf)
    except ValueError:
        kind, producer, moment = "", "", datetime.fromtimestamp(0, UTC)
    else:
        kind, producer, moment = leaf.kind, leaf.producer, leaf.minute
    return {"entry_id": "", "kind": kind, "request_id": "", "producer": producer, "occurred_at": moment}


def _opened(log: Log, row: Row[Any], key: DataKey | None) -> tuple[bytes, bytes, bool]:
    if key is None:
        return b"", b"", False
    try:
        plain = key.sealer.open(row.sealed, seal_context(log, row.key_id))
    except SealError:
        return b"", b"", True
    return plain[:SALT_SIZE], plain[SALT_SIZE:], False


def read_head(row: Row[Any]) -> Head:
    """A head from its row.

    Raises:
        LogForkedError: Its parts do not agree.
    """
    hashes = [row.compact_range[start : start + HASH_SIZE] for start in range(0, len(row.compact_range), HASH_SIZE)]
    try:
        tree = Range(row.size, tuple(hashes))
    except ValueError as error:
        raise LogForkedError("the head's compact range cannot be") from error
    if tree.root != row.root:
        raise LogForkedError("the head's root is not that of its compact range")
    return Head(tree, row.epoch, row.checkpoint, row.minimum_index, row.stream_sequence, row.day)
