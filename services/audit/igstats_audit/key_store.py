"""The SQL of the data keys. Every statement serves a whole batch."""

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, cast

from igstats_kit.sql import Database
from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_audit.key_tables import data_keys, key_of_day
from igstats_audit.keyring import DayKey, Living, WrappedKey
from igstats_audit.model import Log, Subject

_TURN = text("SELECT pg_advisory_xact_lock(hashtext('igstats-audit-keys'))")
_COLUMNS = "d.key_id, d.log, d.subject, d.subject_token, d.kek_id, d.wrapped"
_LIVING = f"SELECT o.kek_id AS current, {_COLUMNS} FROM key_of_day o LEFT JOIN data_keys d ON"  # noqa: S608 - own names
_OF = text(f"{_LIVING} d.log = :log AND d.subject = ANY(CAST(:names AS text[]))")
_FIND = text(f"{_LIVING} d.key_id = ANY(CAST(:key_ids AS text[]))")
_ALIVE = text("SELECT key_id FROM data_keys WHERE key_id = ANY(CAST(:key_ids AS text[]))")
# The share lock makes a rotation wait until this key is committed and so is wrapped again. After a rotation the row
# names another key of the day: then nothing is added.
_ADD = text(
    "WITH o AS MATERIALIZED (SELECT kek_id FROM key_of_day WHERE kek_id = :kek_id FOR SHARE)"
    " INSERT INTO data_keys (key_id, log, subject, subject_token, wrapped, kek_id)"
    " SELECT n.*, o.kek_id FROM unnest(CAST(:key_ids AS text[]), CAST(:logs AS text[]), CAST(:subjects AS text[]),"
    " CAST(:tokens AS bytea[]), CAST(:wrapped AS bytea[])) AS n CROSS JOIN o"
    " ON CONFLICT (log, subject) DO NOTHING RETURNING key_id"
)
_OTHERS = "d.kek_id <> :kek_id AND d.key_id <> ALL(CAST(:but AS text[]))"
_OUTDATED = f"SELECT {_COLUMNS} FROM data_keys d WHERE {_OTHERS}"  # noqa: S608 - own names
_FREE = text(f"{_OUTDATED} AND d.key_id > :after ORDER BY d.key_id LIMIT :limit FOR UPDATE SKIP LOCKED")
_LOCKED = text(f"{_OUTDATED} ORDER BY d.key_id LIMIT 1 FOR UPDATE")
_REWRAP = text(
    "UPDATE data_keys d SET wrapped = n.wrapped, kek_id = n.kek_id FROM unnest(CAST(:key_ids AS text[]),"
    " CAST(:wrapped AS bytea[]), CAST(:kek_ids AS text[])) AS n(key_id, wrapped, kek_id) WHERE d.key_id = n.key_id"
)


class RotationTurn:
    """A transaction of the rotation, alone while it lasts."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def current(self) -> DayKey | None:
        """The key of the day in force."""
        row = (await self._connection.execute(select(key_of_day))).one_or_none()
        return None if row is None else DayKey(row.kek_id, row.day)

    async def in_use(self) -> Mapping[str, int]:
        """How many data keys each key of the day wraps."""
        kek_id = data_keys.c.kek_id
        rows = await self._connection.execute(select(kek_id, func.count()).group_by(kek_id))
        return {row[0]: row[1] for row in rows}

    async def make_current(self, key: DayKey) -> None:
        """Wraps new data keys under another key of the day; waits for those who are wrapping one under the old."""
        row = {"kek_id": key.kek_id, "day": key.day}
        if not (await self._connection.execute(key_of_day.update().values(row))).rowcount:
            await self._connection.execute(key_of_day.insert().values(row))

    async def outdated(self, kek_id: str, after: str, but: Collection[str], limit: int) -> Sequence[WrappedKey]:
        """Data keys under any other key of the day but some, by id, and keeps others from changing them.

        Those that an erasure is at are passed over; when only such are left, it waits for one of them. Holding no other
        row meanwhile, it cannot stand in the erasure's way.
        """
        binds = {"kek_id": kek_id, "but": list(but)}
        rows = (await self._connection.execute(_FREE, binds | {"after": after, "limit": limit})).all()
        return [_key(row) for row in rows or await self._connection.execute(_LOCKED, binds)]

    async def rewrap(self, keys: Sequence[WrappedKey]) -> None:
        """Replaces the wrapping of data keys that `outdated` has given."""
        if keys:
            columns = {"key_ids": [key.key_id for key in keys], "kek_ids": [key.kek_id for key in keys]}
            await self._connection.execute(_REWRAP, columns | {"wrapped": [key.wrapped for key in keys]})


class DataKeyTable:
    """Keeps wrapped data keys in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[RotationTurn]:
        """A transaction of the rotation."""
        async with self._database.transaction() as connection:
            await connection.execute(_TURN)
            yield RotationTurn(connection)

    async def of(self, connection: object, log: Log, names: Sequence[str]) -> Living:
        """The keys of subjects of a log."""
        rows = await _connection(connection).execute(_OF, {"log": log.value, "names": names})
        return _living(rows.all())

    async def find(self, connection: object, key_ids: Sequence[str]) -> Living:
        """The keys with these ids."""
        return _living((await _connection(connection).execute(_FIND, {"key_ids": key_ids})).all())

    async def add(self, connection: object, keys: Sequence[WrappedKey]) -> set[str]:
        """Adds keys, all under one key of the day and only if that is in force; answers the ids that were added."""
        binds = {
            "kek_id": keys[0].kek_id,
            "key_ids": [key.key_id for key in keys],
            "logs": [key.log.value for key in keys],
            "subjects": [key.subject.name for key in keys],
            "tokens": [key.subject.token for key in keys],
            "wrapped": [key.wrapped for key in keys],
        }
        return set((await _connection(connection).execute(_ADD, binds)).scalars())

    async def alive(self, key_ids: Sequence[str]) -> set[str]:
        """Which of these keys exist."""
        async with self._database.read() as connection:
            return set((await connection.execute(_ALIVE, {"key_ids": key_ids})).scalars())


def _connection(given: object) -> AsyncConnection:
    return cast("AsyncConnection", given)


def _living(rows: Sequence[Row[Any]]) -> Living:
    return Living(rows[0].current if rows else None, [_key(row) for row in rows if row.key_id is not None])


def _key(row: Row[Any]) -> WrappedKey:
    return WrappedKey(row.key_id, Log(row.log), Subject(row.subject, row.subject_token), row.kek_id, row.wrapped)
