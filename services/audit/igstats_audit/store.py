"""The SQL that writes a log: each commit is one statement, in which every insert depends on the swap of the head.

It speaks to the driver itself: SQLAlchemy takes longer to pass the one statement on than PostgreSQL to run it.
"""

import contextlib
import functools
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, cast

from igstats_kit.events import Event
from igstats_kit.fence import admitted
from igstats_kit.sql import Database, Driver, IntegrityError, driver
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.entry_store import TABLES, EntryStore, Keys, partition, read_head
from igstats_audit.model import Commit, DataKey, Head, Known, Log, NewCall, Place, Subject
from igstats_audit.tables import heads
from igstats_audit.tile_path import TILE_HEIGHT, TILE_WIDTH

TURN = text("SELECT pg_advisory_xact_lock(hashtext(CAST('igstats-audit-log-' || :log AS text)))")
PARTITIONING = text("SELECT pg_advisory_xact_lock(hashtext('igstats-audit-partitions'))")
_HEAD = text("SELECT * FROM heads WHERE log = :log")
_KNOWN = text("SELECT index AS at, day FROM entry_ids WHERE entry_id = ANY(CAST(:entry_ids AS text[]))")

# PostgreSQL runs every part of a statement even when the swap hits no row: hence the condition on each insert. A key
# that was erased meanwhile stops the commit like another head does.
_SWAPPED = (
    "WITH swapped AS (UPDATE heads SET size = :size, root = :root, compact_range = :range, epoch = :epoch,"
    " checkpoint = :checkpoint, stream_sequence = :position, day = CAST(:day AS date)"
    " WHERE log = :log AND size = :old_size AND epoch = :old_epoch"
    " AND CAST(:key_count AS bigint) = (SELECT count(*) FROM data_keys WHERE key_id = ANY(CAST(:key_ids AS text[])))"
    " RETURNING log)"
)
# Rows travel as rows of their table: an array for each column costs the driver as much as the commit costs the server.
_EVIDENCE = (
    ", e AS MATERIALIZED (SELECT * FROM unnest(CAST(:entries AS evidence_entries[]))),"
    " added AS (INSERT INTO evidence_entries SELECT * FROM e WHERE EXISTS (SELECT FROM swapped)),"
    " named AS (INSERT INTO entry_ids (entry_id, index, day, request_id)"
    " SELECT entry_id, index, day, request_id FROM e WHERE EXISTS (SELECT FROM swapped))"
)
_ACCESS = (
    ", added AS (INSERT INTO access_entries SELECT * FROM unnest(CAST(:entries AS access_entries[]))"
    " WHERE EXISTS (SELECT FROM swapped)),"
    " found AS (INSERT INTO calls SELECT * FROM unnest(CAST(:calls AS calls[]))"
    " WHERE EXISTS (SELECT FROM swapped) ON CONFLICT DO NOTHING)"
)
_TILED = (
    ", tiled AS (INSERT INTO tiles (log, level, place, hashes)"
    " SELECT CAST(:log AS text), t.* FROM unnest(CAST(:tile_levels AS smallint[]), CAST(:tile_places AS bigint[]),"
    " CAST(:tile_hashes AS bytea[])) AS t WHERE EXISTS (SELECT FROM swapped)"
    " ON CONFLICT (log, level, place) DO UPDATE SET hashes = tiles.hashes || excluded.hashes)"
)
_DATED = (
    ", dated AS (INSERT INTO log_days (log, day, first_index)"
    " SELECT CAST(:log AS text), CAST(:day AS date), CAST(:old_size AS bigint) WHERE EXISTS (SELECT FROM swapped))"
)
_HANDLED = (
    ", handled AS (INSERT INTO inbox (consumer, event_id) SELECT * FROM unnest(CAST(:consumers AS text[]),"
    " CAST(:event_ids AS text[])) AS i WHERE EXISTS (SELECT FROM swapped) ON CONFLICT DO NOTHING)"
)
_ENTRIES = {Log.EVIDENCE: _EVIDENCE, Log.ACCESS: _ACCESS}
_BIND = re.compile(r":([a-z_]+)")
_RESTART = text("UPDATE heads SET stream_sequence = 0, stream_made_at = :made_at, epoch = epoch + 1 WHERE log = :log")
_FOLLOW = text(
    "UPDATE heads SET stream_made_at = :made_at WHERE log = :log AND coalesce(stream_made_at, :made_at) = :made_at"
)
_RENAME = text(
    "UPDATE heads SET checkpoint = :checkpoint, epoch = epoch + 1 WHERE log = :log AND size = :size AND epoch = :epoch"
)
PARTITIONED = {Log.EVIDENCE: (TABLES[Log.EVIDENCE],), Log.ACCESS: (TABLES[Log.ACCESS], "calls")}


class Turn:
    """One commit of a log while all other writers of it wait."""

    def __init__(self, connection: AsyncConnection, store: "SqlLog", keys: Keys) -> None:
        self._connection = connection
        self._store = store
        self._keys = keys

    async def begin(self, entry_ids: Sequence[str]) -> tuple[Head | None, Mapping[str, Known]]:
        """Waits for its turn, then reads the head and those of the entries that exist already."""
        await self._connection.execute(TURN, {"log": self._store.log})
        row = (await self._connection.execute(_HEAD, {"log": self._store.log})).one_or_none()
        known = await self._known(entry_ids) if entry_ids else {}
        return (None if row is None else read_head(row)), known

    async def _known(self, entry_ids: Sequence[str]) -> dict[str, Known]:
        rows = await self._connection.execute(_KNOWN, {"entry_ids": list(entry_ids)})
        found = await self._store.read(self._connection, [Place(row.at, row.day) for row in rows])
        return {entry.entry_id: Known(entry.index, entry.request_id, entry.leaf, entry.salt) for entry in found}

    async def admitted(self, tokens: Collection[bytes]) -> set[bytes]:
        """Locks the subjects of these tokens and returns those that are not fenced."""
        return await admitted(self._connection, tokens)

    async def keys(self, subjects: Sequence[Subject]) -> Mapping[Subject, DataKey]:
        """The data keys of subjects; makes those that are missing."""
        return await self._keys.of(self._connection, self._store.log, subjects)

    async def swap(self, commit: Commit) -> bool:
        """Writes the commit when its old head still stands and its keys exist; otherwise nothing, and False."""
        return await _swap(driver(self._connection), self._store.log, commit)


class SqlLog(EntryStore):
    """Keeps one log in PostgreSQL."""

    def __init__(self, database: Database, log: Log, keys: Keys) -> None:
        super().__init__(database, log, keys)
        self._direct = database.direct()
        self._made: set[date] = set()

    async def create_head(self, head: Head) -> None:
        """Writes the first head; does nothing when there is one."""
        row = {"log": self.log, "minimum_index": head.minimum_index, **_head_columns(head)}
        row |= {"compact_range": row.pop("range"), "stream_sequence": row.pop("position")}
        async with self._database.transaction() as connection:
            await connection.execute(postgresql.insert(heads).values(row).on_conflict_do_nothing())

    async def make_days(self, days: Sequence[date]) -> None:
        """Makes the partitions that this process has not seen yet."""
        missing = sorted(set(days) - self._made)
        if not missing:
            return
        async with self._database.transaction() as connection:
            await connection.execute(PARTITIONING)
            for day in missing:
                for table in PARTITIONED[self.log]:
                    await connection.execute(text(partitioned(table, day)))
        self._made |= set(missing)

    async def follows_stream(self, made_at: datetime) -> bool:
        """Whether the stream behind the log was made then; the first one that is asked for is."""
        async with self._database.statement() as connection:
            return bool((await connection.execute(_FOLLOW, {"log": self.log, "made_at": made_at})).rowcount)

    async def restart_stream(self, made_at: datetime) -> None:
        """Forgets how far the stream behind the log had come: another one is behind it, made then."""
        async with self._database.statement() as connection:
            await connection.execute(_RESTART, {"log": self.log, "made_at": made_at})

    async def rename(self, head: Head, checkpoint: str) -> bool:
        """Replaces the checkpoint of a head; False when the log has moved on."""
        binds = {"log": self.log, "size": head.tree.size, "epoch": head.epoch, "checkpoint": checkpoint}
        async with self._database.statement() as connection:
            return bool((await connection.execute(_RENAME, binds)).rowcount)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """A commit in turn: what happens inside is durable when the block has ended well, or has not happened."""
        async with self._database.transaction() as connection:
            yield Turn(connection, self, self._keys)

    async def swap(self, commit: Commit) -> bool:
        """Writes a commit in one statement, without waiting for a turn.

        Returns False when nothing was written: the head has moved on, a key is gone, or an entry id is known.
        """
        try:
            async with self._direct.use() as connection:
                return await _swap(connection, self.log, commit)
        except IntegrityError:
            return False


async def _swap(connection: Driver, log: Log, commit: Commit) -> bool:
    """Runs the parts that this commit needs: a part without rows costs as much as one with a row."""
    old, binds = commit.old, _head_columns(commit.new) | _keys(commit)
    binds |= {"log": log.value, "old_size": old.tree.size, "old_epoch": old.epoch}
    parts = [_SWAPPED]
    for part, columns in (
        (_ENTRIES[log], _evidence_rows(commit) if log is Log.EVIDENCE else _access_rows(commit)),
        (_TILED, _tile_columns(commit)),
        (_HANDLED, _event_columns(commit)),
    ):
        if any(columns.values()):
            parts.append(part)
            binds |= columns
    if commit.entries and commit.new.day != old.day:
        parts.append(_DATED)
    statement, names = _statement(tuple(parts))
    return bool(await connection.fetchval(statement, *(binds[name] for name in names)))


@functools.cache
def _statement(parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A statement as the driver wants it, and the names of its values in order."""
    places: dict[str, int] = {}
    whole = "".join((*parts, " SELECT count(*) FROM swapped"))
    numbered = _BIND.sub(lambda bind: f"${places.setdefault(bind[1], len(places) + 1)}", whole)
    return numbered, tuple(places)


def _head_columns(head: Head) -> dict[str, Any]:
    return {
        "size": head.tree.size,
        "root": head.tree.root,
        "range": b"".join(head.tree.hashes),
        "epoch": head.epoch,
        "checkpoint": head.checkpoint,
        "position": head.stream_sequence,
        "day": head.day,
    }


def _tile_columns(commit: Commit) -> dict[str, Any]:
    """Hashes for the tiles of level 1 and more: each new one is added to the end of its tile."""
    found: list[tuple[int, int, bytes]] = []
    for level, row in enumerate(commit.growth.rows):
        if level == 0 or level % TILE_HEIGHT:
            continue
        at = 0
        while at < len(row.hashes):
            place = (row.first + at) // TILE_WIDTH
            after = (place + 1) * TILE_WIDTH - row.first
            found.append((level // TILE_HEIGHT, place, b"".join(row.hashes[at:after])))
            at = after
    return {
        "tile_levels": [level for level, _, _ in found],
        "tile_places": [place for _, place, _ in found],
        "tile_hashes": [hashes for _, _, hashes in found],
    }


def _keys(commit: Commit) -> dict[str, Any]:
    keys = {one.key_id for one in commit.entries if one.key_id}
    return {"key_ids": list(keys), "key_count": len(keys)}


def _evidence_rows(commit: Commit) -> dict[str, Any]:
    """Rows of evidence_entries, in the order of its columns."""
    day = commit.new.day
    rows = [
        (
            index,
            day,
            one.new.entry_id,
            one.new.kind,
            one.new.request_id,
            one.new.producer,
            one.new.sequence,
            one.leaf,
            one.key_id,
            one.sealed,
            one.new.occurred_at,
        )
        for index, one in enumerate(commit.entries, start=commit.old.tree.size)
    ]
    return {"entries": rows}


def _access_rows(commit: Commit) -> dict[str, Any]:
    """Rows of access_entries and of calls, in the order of their columns; what is withheld is not to be found."""
    day, numbered = commit.new.day, list(enumerate(commit.entries, start=commit.old.tree.size))
    calls = [
        (one.new.entry_id, day, one.new.token, index, one.new.occurred_at, one.new.status)
        for index, one in numbered
        if one.key_id and isinstance(one.new, NewCall)
    ]
    rows = [(index, day, one.new.sequence, one.leaf, one.key_id, one.sealed) for index, one in numbered]
    return {"entries": rows, "calls": calls}


def _event_columns(commit: Commit) -> dict[str, Any]:
    events = [
        (delivery.consumer, cast("Event", event).id) for delivery in commit.deliveries for event in delivery.events
    ]
    return {"consumers": [consumer for consumer, _ in events], "event_ids": [event_id for _, event_id in events]}


def partitioned(table: str, day: date) -> str:
    """SQL that makes room for the rows of a day."""
    after, name = day + timedelta(days=1), partition(table, day)
    return f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES FROM ('{day}') TO ('{after}')"
