"""The SQL that the monitor reads a log with: rows as they stand.

It only reads, and believes nothing: what the writer of the log checks on reading is checked by rules, and told.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from igstats_kit.seal import SealError
from igstats_kit.sql import Database
from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.batch import seal_context
from igstats_audit.entry_store import TABLES
from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.events import CALLS
from igstats_audit.leaf import SALT_SIZE, SIZE
from igstats_audit.model import CUT_ID, LOG_CUT, DataKey, Log
from igstats_audit.monitor.index_store import SqlIndexes
from igstats_audit.monitor.model import EntryRow, HeadRow, Opening, OpeningState
from igstats_audit.renaming import LOG_RENAMED
from igstats_audit.tree import HASH_SIZE

_HEAD = text(
    "SELECT h.size, h.root, h.compact_range, h.checkpoint, h.minimum_index, h.epoch, h.stream_sequence,"
    " h.stream_made_at, h.day, (SELECT max(d.day) FROM log_days d WHERE d.log = h.log) AS newest_day,"
    " (SELECT min(d.first_index) FROM log_days d WHERE d.log = h.log) AS oldest_index,"
    " (SELECT count(*) FROM parked p WHERE p.consumer = :consumer) AS parked FROM heads h WHERE h.log = :log"
)
_CONSUMERS = {Log.EVIDENCE: "", Log.ACCESS: CALLS.durable}  # who counts its place in a stream in the head of the log
# Hashes of a row of tiles, as many as the tree of the head has there; of level 0 one row, the cut leaves of a block.
_MISSHAPEN = text(
    "SELECT t.level, t.place FROM heads h JOIN tiles t ON t.log = h.log WHERE h.log = :log AND CASE"
    " WHEN t.level = 0 THEN t.place <> h.minimum_index >> 8"
    " OR length(t.hashes) <> CAST(h.minimum_index & 255 AS integer) * CAST(:leaf AS integer)"
    " WHEN t.level BETWEEN 1 AND 7 AND t.place BETWEEN 0 AND h.size >> 8 THEN length(t.hashes) = 0 OR length(t.hashes)"
    " <> CAST(:hash AS integer) * greatest(0, least(256, (h.size >> (8 * t.level)) - (t.place << 8)))"
    " ELSE true END ORDER BY t.level, t.place LIMIT :limit"
)
_MOST_MISSHAPEN = 20_000
_TILES = text("SELECT place, hashes FROM tiles WHERE log = :log AND level = :level AND place = ANY(:places)")
_DAYS = text("SELECT first_index, day FROM log_days WHERE log = :log ORDER BY first_index")
_SUBJECTS = text(
    "SELECT key_id, log, subject, subject_token AS token FROM data_keys WHERE key_id = ANY(CAST(:key_ids AS text[]))"
)
_ANNOUNCED = (
    "SELECT e.index, e.leaf, e.key_id, e.sealed, e.sequence, e.kind, e.producer, e.request_id, e.occurred_at"
    " FROM entry_ids i JOIN evidence_entries e ON e.index = i.index AND e.day = i.day WHERE e.kind = :kind AND "
)
_ANNOUNCEMENT = text(f"{_ANNOUNCED} i.entry_id = :entry_id")
_RENAMINGS = text(f"{_ANNOUNCED} starts_with(i.entry_id, :prefix) ORDER BY e.index DESC")
_OWN = {
    Log.EVIDENCE: "index, day, entry_id, leaf, key_id, sealed, sequence, kind, producer, request_id, occurred_at",
    Log.ACCESS: "index, day, leaf, key_id, sealed, sequence",
}
_ROWS = {
    log: f"SELECT {columns} FROM {TABLES[log]} WHERE index >= :start AND index < :end"  # noqa: S608 - own names
    for log, columns in _OWN.items()
}
_NEAR = {log: text(f"{query} AND day BETWEEN :first AND :last ORDER BY index") for log, query in _ROWS.items()}
_ANYWHERE = {log: text(f"{query} ORDER BY index") for log, query in _ROWS.items()}
_BEYOND = {
    log: text(
        f"SELECT e.index FROM heads h JOIN {table} e ON e.index >= greatest(h.size, CAST(:size AS bigint))"  # noqa: S608 - own names
        " OR e.index < 0 WHERE h.log = :log ORDER BY e.index LIMIT 10"
    )
    for log, table in TABLES.items()
}


class FindKeys(Protocol):
    """Where data keys come from."""

    async def find(self, connection: object, key_ids: Sequence[str]) -> Mapping[str, DataKey]:
        """The keys that exist; raises KeyDamagedError, KeyLostError."""
        ...


class _Filed(NamedTuple):
    """Where a data key is filed: for which log and whom. A call has no request, its subject is a token."""

    log: str
    subject: str
    token: bytes | None

    def state(self, log: Log, row: EntryRow) -> OpeningState:
        """Whether an entry that opens is sealed for whom it should be."""
        if row.request_id is not None and self.subject != row.request_id:
            return OpeningState.MOVED
        token = self.token.hex() if self.token is not None else ""
        whole = token == (self.subject if log is Log.ACCESS else "")
        return OpeningState.OPENED if whole and self.log == log else OpeningState.MISFILED


class SqlRows(SqlIndexes):
    """Reads the rows of one log."""

    def __init__(self, database: Database, log: Log, keys: FindKeys) -> None:
        super().__init__(database, log)
        self._keys = keys

    @property
    def log(self) -> Log:
        """Which log."""
        return self._log

    async def head(self) -> HeadRow | None:
        """The head."""
        async with self._database.read() as connection:
            binds = {"log": self._log, "consumer": _CONSUMERS[self._log]}
            row = (await connection.execute(_HEAD, binds)).one_or_none()
            days = await connection.execute(_DAYS, {"log": self._log})
            self._days = [(first, day) for first, day in days]
        return None if row is None else HeadRow(**row._mapping)  # noqa: SLF001 - public, named so for columns

    async def beyond(self, size: int) -> Sequence[int]:
        """Indexes of rows beyond this size and that of the head, some of them if they are many."""
        binds = {"log": self._log, "size": size}
        async with self._database.read() as connection:
            return list((await connection.execute(_BEYOND[self._log], binds)).scalars())

    async def misshapen(self) -> Sequence[tuple[int, int]]:
        """Level and place of rows of tiles that are longer or shorter than the head says at the same moment."""
        binds = {"log": self._log, "leaf": SIZE, "hash": HASH_SIZE, "limit": _MOST_MISSHAPEN}
        async with self._database.read() as connection:
            return [(row.level, row.place) for row in await connection.execute(_MISSHAPEN, binds)]

    async def tiles(self, level: int, places: Sequence[int]) -> Mapping[int, bytes]:
        """Rows of tiles by their places."""
        binds = {"log": self._log, "level": level, "places": list(places)}
        async with self._database.read() as connection:
            return {row.place: row.hashes for row in await connection.execute(_TILES, binds)}

    async def entries(self, start: int, end: int) -> Sequence[EntryRow]:
        """Rows of entries in order; from the days where they should be, and if they are not there, from all."""
        binds: dict[str, Any] = {"start": start, "end": end}
        days = self._between(start, end)
        async with self._database.read() as connection:
            if days is not None:
                near = binds | {"first": days[0], "last": days[1]}
                rows = (await connection.execute(_NEAR[self._log], near)).all()
                if len(rows) == end - start:
                    return list(map(_entry, rows))
            return list(map(_entry, await connection.execute(_ANYWHERE[self._log], binds)))

    async def announced(self, minimum_index: int) -> bool:
        """Whether the evidence log says that this log was cut up to there. Its own look checks that it truly does."""
        binds = {"entry_id": f"{CUT_ID}{self._log}/{minimum_index}", "kind": LOG_CUT}
        said = await self._announcements(_ANNOUNCEMENT, binds)
        return any(one.get("log") == self._log and one.get("to") == minimum_index for one in said)

    async def renamed(self, name: str) -> str:
        """The last checkpoint under the old name, if the evidence log says that this log goes on as `name`."""
        said = await self._announcements(_RENAMINGS, {"prefix": f"renamed/{name}/", "kind": LOG_RENAMED})
        named = [one for one in said if one.get("log") == self._log and one.get("name") == name]
        return str(named[0].get("last_checkpoint", "")) if named else ""

    async def _announcements(self, query: TextClause, binds: Mapping[str, str]) -> Sequence[Mapping[str, object]]:
        """What entries of the evidence log say; whatever stands in their place announces nothing."""
        async with self._database.read() as connection:
            rows = [_entry(row) for row in await connection.execute(query, binds)]
        openings = await SqlRows(self._database, Log.EVIDENCE, self._keys).open(rows)
        found = []
        for opening in openings:
            if opening.state is OpeningState.OPENED:
                with suppress(ValueError):
                    found.append(json.loads(opening.payload))
        return [one for one in found if isinstance(one, dict)]

    async def open(self, rows: Sequence[EntryRow]) -> Sequence[Opening]:
        """Opens entries."""
        key_ids = sorted({row.key_id for row in rows if row.key_id})
        async with self._database.read() as connection:
            keys = await self._found(connection, key_ids)
            found = await connection.execute(_SUBJECTS, {"key_ids": key_ids})
            filed = {row.key_id: _Filed(*row[1:]) for row in found}
        return [self._opened(row, keys, filed) for row in rows]

    async def _found(self, connection: AsyncConnection, key_ids: Sequence[str]) -> Mapping[str, DataKey | None]:
        """The keys that exist; None for one that is damaged."""
        if not key_ids:
            return {}
        try:
            return await self._keys.find(connection, key_ids)
        except (KeyDamagedError, KeyLostError, ValueError):  # the last of a key of no log that we know
            if len(key_ids) == 1:
                return {key_ids[0]: None}
            found: dict[str, DataKey | None] = {}
            for key_id in key_ids:
                found |= await self._found(connection, [key_id])
            return found

    def _opened(self, row: EntryRow, keys: Mapping[str, DataKey | None], filed: Mapping[str, _Filed]) -> Opening:
        if not row.key_id and not row.sealed:
            return Opening(OpeningState.WITHHELD)
        if row.key_id and row.key_id not in keys.keys() & filed.keys():
            return Opening(OpeningState.ERASED)
        key = keys.get(row.key_id)
        if key is None:
            return Opening(OpeningState.DAMAGED)
        try:
            plain = key.sealer.open(row.sealed, seal_context(self._log, row.key_id))
        except SealError:
            return Opening(OpeningState.DAMAGED)
        state = filed[row.key_id].state(self._log, row)
        return Opening(state, plain[:SALT_SIZE], plain[SALT_SIZE:]) if state is OpeningState.OPENED else Opening(state)

    def day(self, index: int) -> date | None:
        """The day in which an entry should stand; None when it is earlier than all that log_days knows."""
        days = self._between(index, index + 1)
        return days[0] if days else None

    def _between(self, start: int, end: int) -> tuple[date, date] | None:
        """The days in which entries should stand."""
        first = bisect_right(self._days, start, key=itemgetter(0))
        last = bisect_right(self._days, end - 1, key=itemgetter(0))
        return (self._days[first - 1][1], self._days[last - 1][1]) if first else None


def _entry(row: Row[Any]) -> EntryRow:
    return EntryRow(**row._mapping)  # noqa: SLF001 - public, named so for columns
