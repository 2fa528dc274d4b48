"""The audit service's SQL: the evidence log as rows (the seam `model.LogStore`), and the API log as day partitions."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from typing import Any, cast

from igstats_kit.events import Event, take_inbox
from igstats_kit.fence import admit, admitted
from igstats_kit.sql import Database
from sqlalchemy import Row, Table, select, text, tuple_
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.errors import LogForkedError
from igstats_audit.model import Admission, CallQuery, CallRecord, Delivery, Entry, Head, Known, StoredCall
from igstats_audit.tables import calls, entries, head, nodes
from igstats_audit.tree import HASH_SIZE, Node, Range, leaf_hash

_LOG = "evidence"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves its constructor untyped


def _insert(table: Table, condition: str = "") -> str:
    """Inserts columns given as arrays, one bind a column: one statement, however many rows."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    arrays = ", ".join(f"CAST(:{c.name} AS {c.type.compile(dialect=_DIALECT)}[])" for c in table.columns)
    return f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({arrays}){condition}'  # noqa: S608 - own names


_TURN = text("SELECT pg_advisory_xact_lock(hashtext('igstats-audit-log'))")
_BEGIN = text(
    "SELECT h.size, h.root, h.compact_range, h.epoch, h.checkpoint, e.entry_id, e.index AS place, e.leaf, e.salt"
    " FROM head h LEFT JOIN entries e ON e.entry_id = ANY(CAST(:entry_ids AS text[])) WHERE h.log = :log"
)
# PostgreSQL runs every part of a statement even when the swap hits no row: hence the condition on each insert.
_ON_SWAP = " WHERE EXISTS (SELECT FROM swapped)"
_NODES = _insert(nodes, _ON_SWAP)
_ENTRIES = _insert(entries, _ON_SWAP)
_HEAD = (
    "UPDATE head SET size = :new_size, root = :new_root, compact_range = :new_range, epoch = :new_epoch,"
    " checkpoint = :new_checkpoint WHERE log = :log AND size = :old_size AND epoch = :old_epoch RETURNING log"
)
_SWAP = text(
    f"WITH swapped AS ({_HEAD}), grown AS ({_NODES}), added AS ({_ENTRIES})"  # noqa: S608 - own names
    " SELECT count(*) FROM swapped"
)
_ADD_CALLS = text(f"{_insert(calls)} ON CONFLICT DO NOTHING")
_PARTITIONING = text("SELECT pg_advisory_xact_lock(hashtext('igstats-audit-partitions'))")


class EvidenceTransaction:
    """One commit of the log."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, entry_ids: Sequence[str]) -> tuple[Head | None, Mapping[str, Known]]:
        """Waits for its turn, then reads the head and those of the entries that exist already."""
        await self._connection.execute(_TURN)
        rows = (await self._connection.execute(_BEGIN, {"entry_ids": list(entry_ids), "log": _LOG})).all()
        known = {row.entry_id: Known(row.place, row.leaf, row.salt) for row in rows if row.entry_id is not None}
        return (_head(rows[0]) if rows else None), known

    async def claim(self, delivery: Delivery) -> None:
        """Records events as handled. Those handled before are no matter: their entries exist and are not repeated."""
        await take_inbox(self._connection, delivery.consumer, cast("Sequence[Event]", delivery.events))

    async def swap(self, old: Head, new: Head, added: Sequence[Entry], grown: Mapping[Node, bytes]) -> bool:
        """Writes entries, nodes and the new head when the old head still stands; otherwise nothing, and False."""
        inner = {node: value for node, value in grown.items() if node.level}
        binds: dict[str, Any] = {one.name: [getattr(entry, one.name) for entry in added] for one in fields(Entry)}
        binds |= {"level": [node.level for node in inner], "place": [node.place for node in inner]}
        binds |= {"hash": list(inner.values()), "old_size": old.tree.size, "old_epoch": old.epoch}
        binds |= {f"new_{name}": value for name, value in _head_columns(new).items()}
        swapped = await self._connection.scalar(_SWAP, binds | {"log": _LOG})
        return bool(swapped)


class EvidenceStore:
    """Keeps the log as rows. The hashes of leaves are those of the entries, so only inner nodes are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[EvidenceTransaction]:
        """A commit: what happens inside is durable when the block has ended well, or has not happened."""
        async with self._database.transaction() as connection:
            yield EvidenceTransaction(connection)

    async def create_head(self, first: Head) -> None:
        """Writes the first head; does nothing when there is one."""
        columns = _head_columns(first)
        row = {"log": _LOG, "compact_range": columns.pop("range"), **columns}
        async with self._database.transaction() as connection:
            await connection.execute(postgresql.insert(head).values(row).on_conflict_do_nothing())

    async def head(self) -> Head:
        """Reads the head."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(head).where(head.c.log == _LOG))).one_or_none()
        if row is None:
            raise LogForkedError("the log has lost its head")
        return _head(row)

    async def nodes(self, wanted: Sequence[Node]) -> Mapping[Node, bytes]:
        """Reads hashes of complete subtrees."""
        leaves = [node.place for node in wanted if not node.level]
        inner = [node for node in wanted if node.level]
        found: dict[Node, bytes] = {}
        async with self._database.read() as connection:
            if leaves:
                query = select(entries.c.index, entries.c.leaf).where(entries.c.index.in_(leaves))
                found |= {Node(0, place): leaf_hash(leaf) for place, leaf in await connection.execute(query)}
            if inner:
                places = select(nodes).where(tuple_(nodes.c.level, nodes.c.place).in_(inner))
                found |= {Node(row.level, row.place): row.hash for row in await connection.execute(places)}
        return found

    async def entry(self, index: int) -> Entry | None:
        """Reads an entry."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(entries).where(entries.c.index == index))).mappings().one_or_none()
        return Entry(**row) if row else None

    async def entries_of(self, request_id: str) -> Sequence[Entry]:
        """Reads the entries of a request in log order."""
        mine = (entries.c.request_id == request_id, entries.c.request_id != "")
        async with self._database.read() as connection:
            rows = await connection.execute(select(entries).where(*mine).order_by(entries.c.index))
            return [Entry(**row) for row in rows.mappings()]


class DayStore:
    """Keeps the API log in one partition a day, so that a day is dropped at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._made: set[date] = set()

    async def ensure_days(self, days: Sequence[date]) -> None:
        """Makes the partitions that this process has not seen yet."""
        missing = sorted(set(days) - self._made)
        if not missing:
            return
        async with self._database.transaction() as connection:
            await connection.execute(_PARTITIONING)
            for day in missing:
                await connection.execute(text(_partition(day)))
        self._made |= set(missing)

    async def add(self, delivery: Delivery, found: Sequence[StoredCall]) -> Admission:
        """Keeps the calls of accounts that are not fenced, each once, and records the events as handled."""
        await self.ensure_days([call.record.day for call in found])
        async with self._database.transaction() as connection:
            await take_inbox(connection, delivery.consumer, cast("Sequence[Event]", delivery.events))
            free = await admitted(connection, {call.subject_token for call in found if call.subject_token is not None})
            kept = [call for call in found if call.subject_token is None or call.subject_token in free]
            written = (await connection.execute(_ADD_CALLS, _call_columns(kept))).rowcount if kept else 0
        return Admission(kept=written, refused=len(found) - len(kept))

    async def find(self, query: CallQuery) -> Sequence[CallRecord]:
        """Reads calls, newest first.

        Raises:
            DomainError: SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        mine = [calls.c.account_id == query.account_id, calls.c.day >= query.since]
        if query.call_id:
            mine.append(calls.c.call_id == query.call_id)
        if query.after is not None:
            mine.append(calls.c.day <= query.after.called_at.date())
            mine.append(tuple_(calls.c.called_at, calls.c.call_id) < query.after)
        newest = (calls.c.day.desc(), calls.c.called_at.desc(), calls.c.call_id.desc())
        async with self._database.read() as connection:
            await admit(connection, [query.subject_token])
            rows = await connection.execute(select(calls).where(*mine).order_by(*newest).limit(query.limit))
            return [_record(row) for row in rows]


def _partition(day: date) -> str:
    after = day + timedelta(days=1)
    name = f"calls_{day:%Y%m%d}"
    return f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF calls FOR VALUES FROM ('{day}') TO ('{after}')"


def _call_columns(kept: Sequence[StoredCall]) -> dict[str, list[Any]]:
    own = {one.name for one in fields(CallRecord)}
    columns = {name: [getattr(call.record, name) for call in kept] for name in own}
    columns["account_id"] = [call.record.account_id or None for call in kept]
    columns["day"] = [call.record.day for call in kept]
    columns["subject_token"] = [call.subject_token for call in kept]
    return columns


def _record(row: Row[Any]) -> CallRecord:
    return CallRecord(**{one.name: getattr(row, one.name) for one in fields(CallRecord)})


def _head(row: Row[Any]) -> Head:
    hashes = [row.compact_range[start : start + HASH_SIZE] for start in range(0, len(row.compact_range), HASH_SIZE)]
    try:
        tree = Range(row.size, tuple(hashes))
    except ValueError as error:
        raise LogForkedError("the head's compact range cannot be") from error
    if tree.root != row.root:
        raise LogForkedError("the head's root is not that of its compact range")
    return Head(tree, row.epoch, row.checkpoint)


def _head_columns(of: Head) -> dict[str, Any]:
    whole = b"".join(of.tree.hashes)
    return {
        "size": of.tree.size,
        "root": of.tree.root,
        "range": whole,
        "epoch": of.epoch,
        "checkpoint": of.checkpoint,
    }
