"""The SQL that writes a log: each commit is one statement, in which every insert depends on the swap of the head."""

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, cast

from igstats_kit.events import Event
from igstats_kit.fence import admitted
from igstats_kit.sql import Database
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.entry_store import TABLES, EntryStore, Keys, partition, read_head
from igstats_audit.model import Commit, DataKey, Head, Known, Log, NewCall, Place, Subject
from igstats_audit.tables import heads
from igstats_audit.tile_path import TILE_HEIGHT, TILE_WIDTH

TURN = text("SELECT pg_advisory_xact_lock(hashtext(CAST('igstats-audit-log-' || :log AS text)))")
_PARTITIONING = text("SELECT pg_advisory_xact_lock(hashtext('igstats-audit-partitions'))")
_HEAD = text("SELECT * FROM heads WHERE log = :log")
_KNOWN = text("SELECT index AS at, day FROM entry_ids WHERE entry_id = ANY(CAST(:entry_ids AS text[]))")

# PostgreSQL runs every part of a statement even when the swap hits no row: hence the condition on each insert. A key
# that was erased meanwhile stops the commit like another head does.
_ON_SWAP = "WHERE EXISTS (SELECT FROM swapped)"
_SWAPPED = (
    "WITH swapped AS (UPDATE heads SET size = :size, root = :root, compact_range = :range, epoch = :epoch,"  # noqa: S608 - own words
    " checkpoint = :checkpoint, stream_sequence = :position, day = CAST(:day AS date)"
    " WHERE log = :log AND size = :old_size AND epoch = :old_epoch"
    " AND CAST(:key_count AS bigint) = (SELECT count(*) FROM data_keys WHERE key_id = ANY(CAST(:key_ids AS text[])))"
    " RETURNING log), tiled AS (INSERT INTO tiles (log, level, place, hashes)"
    " SELECT CAST(:log AS text), t.* FROM unnest(CAST(:tile_levels AS smallint[]), CAST(:tile_places AS bigint[]),"
    f" CAST(:tile_hashes AS bytea[])) AS t {_ON_SWAP}"
    " ON CONFLICT (log, level, place) DO UPDATE SET hashes = tiles.hashes || excluded.hashes),"
    " dated AS (INSERT INTO log_days (log, day, first_index) SELECT CAST(:log AS text), CAST(:day AS date),"
    f" CAST(:old_size AS bigint) {_ON_SWAP} AND CAST(:dated AS boolean))"
)
_COUNT = " SELECT count(*) FROM swapped"
_RESTART = text("UPDATE heads SET stream_sequence = 0, epoch = epoch + 1 WHERE log = :log")
_EVIDENCE = text(
    f"{_SWAPPED}, added AS (INSERT INTO evidence_entries (day, index, entry_id, kind, request_id, producer, sequence,"  # noqa: S608 - own words
    " leaf, key_id, sealed, occurred_at) SELECT CAST(:day AS date), e.* FROM unnest(CAST(:indexes AS bigint[]),"
    " CAST(:entry_ids AS text[]), CAST(:kinds AS text[]), CAST(:request_ids AS text[]), CAST(:producers AS text[]),"
    " CAST(:sequences AS bigint[]), CAST(:leaves AS bytea[]), CAST(:entry_keys AS text[]), CAST(:sealed AS bytea[]),"
    f" CAST(:times AS timestamptz[])) AS e {_ON_SWAP}),"
    " named AS (INSERT INTO entry_ids (entry_id, index, day, request_id) SELECT e.entry_id, e.index,"
    " CAST(:day AS date), e.request_id FROM unnest(CAST(:entry_ids AS text[]), CAST(:indexes AS bigint[]),"
    f" CAST(:request_ids AS text[])) AS e(entry_id, index, request_id) {_ON_SWAP}),"
    " handled AS (INSERT INTO inbox (consumer, event_id) SELECT * FROM unnest(CAST(:consumers AS text[]),"
    f" CAST(:event_ids AS text[])) AS i {_ON_SWAP} ON CONFLICT DO NOTHING){_COUNT}"
)
_ACCESS = text(
    f"{_SWAPPED}, added AS (INSERT INTO access_entries (day, index, sequence, leaf, key_id, sealed)"  # noqa: S608 - own words
    " SELECT CAST(:day AS date), e.* FROM unnest(CAST(:indexes AS bigint[]), CAST(:sequences AS bigint[]),"
    f" CAST(:leaves AS bytea[]), CAST(:entry_keys AS text[]), CAST(:sealed AS bytea[])) AS e {_ON_SWAP}),"
    " found AS (INSERT INTO calls (day, call_id, subject_token, index, called_at, status) SELECT CAST(:day AS date),"
    " c.* FROM unnest(CAST(:call_ids AS text[]), CAST(:tokens AS bytea[]), CAST(:call_indexes AS bigint[]),"
    " CAST(:called_at AS timestamptz[]), CAST(:statuses AS integer[])) AS c"
    f" {_ON_SWAP} ON CONFLICT DO NOTHING){_COUNT}"
)
_STATEMENTS = {Log.EVIDENCE: _EVIDENCE, Log.ACCESS: _ACCESS}
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
        return {entry.entry_id: Known(entry.index, entry.leaf, entry.salt) for entry in found}

    async def admitted(self, tokens: Collection[bytes]) -> set[bytes]:
        """Locks the subjects of these tokens and returns those that are not fenced."""
        return await admitted(self._connection, tokens)

    async def keys(self, subjects: Sequence[Subject]) -> Mapping[Subject, DataKey]:
        """The data keys of subjects; makes those that are missing."""
        return await self._keys.of(self._connection, self._store.log, subjects)

    async def swap(self, commit: Commit) -> bool:
        """Writes the commit when its old head still stands and its keys exist; otherwise nothing, and False."""
        return await _swap(self._connection, self._store.log, commit)


class SqlLog(EntryStore):
    """Keeps one log in PostgreSQL."""

    def __init__(self, database: Database, log: Log, keys: Keys) -> None:
        super().__init__(database, log, keys)
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
            await connection.execute(_PARTITIONING)
            for day in missing:
                for table in PARTITIONED[self.log]:
                    await connection.execute(text(_partition(table, day)))
        self._made |= set(missing)

    async def restart_stream(self) -> None:
        """Forgets how far the stream behind the log has come."""
        async with self._database.statement() as connection:
            await connection.execute(_RESTART, {"log": self.log})

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
            async with self._database.statement() as connection:
                return await _swap(connection, self.log, commit)
        except IntegrityError:
            return False


async def _swap(connection: AsyncConnection, log: Log, commit: Commit) -> bool:
    binds = _head_columns(commit.new) | _tile_columns(commit) | _entry_columns(commit)
    binds |= _evidence_columns(commit) if log is Log.EVIDENCE else _call_columns(commit)
    old = commit.old
    binds |= {"log": log, "old_size": old.tree.size, "old_epoch": old.epoch}
    binds |= {"dated": bool(commit.entries) and commit.new.day != old.day}
    return bool(await connection.scalar(_STATEMENTS[log], binds))


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


def _entry_columns(commit: Commit) -> dict[str, Any]:
    keys = {one.key_id for one in commit.entries if one.key_id}
    return {
        "indexes": [one.index for one in commit.entries],
        "sequences": [one.new.sequence for one in commit.entries],
        "leaves": [one.leaf for one in commit.entries],
        "entry_keys": [one.key_id for one in commit.entries],
        "sealed": [one.sealed for one in commit.entries],
        "key_ids": list(keys),
        "key_count": len(keys),
    }


def _evidence_columns(commit: Commit) -> dict[str, Any]:
    events = [
        (delivery.consumer, cast("Event", event).id) for delivery in commit.deliveries for event in delivery.events
    ]
    return {
        "entry_ids": [one.new.entry_id for one in commit.entries],
        "kinds": [one.new.kind for one in commit.entries],
        "request_ids": [one.new.request_id for one in commit.entries],
        "producers": [one.new.producer for one in commit.entries],
        "times": [one.new.occurred_at for one in commit.entries],
        "consumers": [consumer for consumer, _ in events],
        "event_ids": [event_id for _, event_id in events],
    }


def _call_columns(commit: Commit) -> dict[str, Any]:
    """The index for searches; what was withheld is not found."""
    found = [(one.index, one.new) for one in commit.entries if one.key_id and isinstance(one.new, NewCall)]
    return {
        "call_ids": [call.entry_id for _, call in found],
        "tokens": [call.token for _, call in found],
        "call_indexes": [index for index, _ in found],
        "called_at": [call.occurred_at for _, call in found],
        "statuses": [call.status for _, call in found],
    }


def _partition(table: str, day: date) -> str:
    after, name = day + timedelta(days=1), partition(table, day)
    return f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} FOR VALUES FROM ('{day}') TO ('{after}')"
