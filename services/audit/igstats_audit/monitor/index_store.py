"""The SQL that the monitor reads the indexes of a log with: entry_ids leads to evidence, calls to calls.

Each page is one statement, so that it sees an entry, its data key and what leads to it at one moment: an erasure takes
the key of a person and their calls in one commit. A page names the entries' table first, because a cut locks it first.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date

from igstats_kit.sql import Database
from sqlalchemy import text

from igstats_audit.model import Log
from igstats_audit.monitor.model import IndexRow, Stray, StrayState

_PAGE = 5_000
# A hold may keep one of two stores of an erased person: calls without a key, or a key without calls.
_ERASED = "EXISTS (SELECT FROM tombstones t WHERE t.token = {0})"

_LEADING = {
    Log.EVIDENCE: text(
        "SELECT entry_id AS name, index AS at, day, request_id FROM entry_ids"
        " WHERE entry_id = ANY(CAST(:names AS text[]))"
    ),
    Log.ACCESS: text(
        "SELECT call_id AS name, index AS at, day, CAST(NULL AS text) AS request_id,"
        " coalesce(encode(subject_token, 'hex'), '') AS subject, called_at, status"
        " FROM calls WHERE call_id = ANY(CAST(:names AS text[])) AND day = ANY(CAST(:days AS date[]))"
    ),
}
_STANDING = text(
    "SELECT d.key_id, d.subject FROM data_keys d WHERE d.key_id = ANY(CAST(:key_ids AS text[]))"  # noqa: S608 - own names
    f" AND NOT {_ERASED.format('d.subject_token')}"
)
# Entries are looked up one by one (OFFSET keeps it so): what leads to them is read a page at once, they are not.
_IDS = text(
    "WITH first AS (SELECT FROM evidence_entries) SELECT i.entry_id AS name, i.index AS at,"
    " CASE WHEN e.entry_id IS NULL THEN 'MISSING' WHEN e.entry_id <> i.entry_id THEN 'ANOTHER' END AS state"
    " FROM (SELECT entry_id, index, day FROM entry_ids WHERE entry_id > :after ORDER BY entry_id LIMIT :limit) i"
    " LEFT JOIN LATERAL (SELECT entry_id FROM evidence_entries WHERE index = i.index AND day = i.day OFFSET 0) e"
    " ON true ORDER BY i.entry_id"
)
_CALLS = text(
    "WITH first AS (SELECT FROM access_entries) SELECT c.call_id AS name, c.index AS at,"  # noqa: S608 - own names
    " CASE WHEN e.key_id IS NULL THEN 'MISSING' WHEN e.key_id = '' THEN 'DROPPED'"
    f" WHEN d.key_id IS NULL AND NOT {_ERASED.format('c.subject_token')} THEN 'ERASED' END AS state"
    " FROM (SELECT call_id, index, subject_token FROM calls WHERE day = CAST(:day AS date) AND call_id > :after"
    " ORDER BY call_id LIMIT :limit) c LEFT JOIN LATERAL (SELECT key_id FROM access_entries WHERE index = c.index"
    " AND day = CAST(:day AS date) OFFSET 0) e ON true LEFT JOIN data_keys d ON d.key_id = e.key_id ORDER BY c.call_id"
)


class SqlIndexes:
    """Reads the indexes of one log."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database = database
        self._log = log
        self._days: list[tuple[int, date]] = []

    async def leading(self, names: Sequence[str], days: Collection[date]) -> Sequence[IndexRow]:
        """Rows of the index by name; those of calls on these days only."""
        binds = {"names": list(names), "days": list(days)}
        async with self._database.read() as connection:
            return [IndexRow(*row) for row in await connection.execute(_LEADING[self._log], binds)]

    async def standing(self, key_ids: Collection[str]) -> Mapping[str, str]:
        """The subjects of those data keys that exist, and whose persons are not erased."""
        async with self._database.read() as connection:
            rows = await connection.execute(_STANDING, {"key_ids": list(key_ids)})
            return {row.key_id: row.subject for row in rows}

    async def strays(self) -> AsyncIterator[Stray]:
        """Rows of the index that lead to no entry, or to one that they must not lead to."""
        if self._log is Log.EVIDENCE:
            async for stray in self._paged({}, None):
                yield stray
            return
        for first, day in self._days:
            async for stray in self._paged({"day": day}, first):
                yield stray

    async def _paged(self, where: Mapping[str, object], first: int | None) -> AsyncIterator[Stray]:
        """Page by page. Where `first` is that of a day, rows that lead to one entry together are told."""
        query, met = _IDS if first is None else _CALLS, bytearray()
        binds = {"after": "", "limit": _PAGE, **where}
        while True:
            async with self._database.read() as connection:
                rows = (await connection.execute(query, binds)).all()
            for row in rows:
                if row.state is not None:
                    yield Stray(row.at, StrayState[row.state])
                elif first is not None and _again(met, row.at - first):
                    yield Stray(row.at, StrayState.DOUBLE)
            if len(rows) < _PAGE:
                return
            binds = binds | {"after": rows[-1].name}


def _again(met: bytearray, at: int) -> bool:
    """Whether an entry of a day was met before. A byte a call: a day may have millions."""
    if at < 0:
        return False
    met.extend(bytes(max(0, at + 1 - len(met))))
    before, met[at] = met[at], 1
    return bool(before)
