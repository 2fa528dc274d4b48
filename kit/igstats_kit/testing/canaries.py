"""Made-up persons in every declared store: a row a table, every value a canary that names the person and the column.

A test seeds two persons, does something about one, and searches what left for canaries of the other, or for any at all.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    insert,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.declare import Anchor, Declarations, Store, field, store

MOMENT = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Canary:
    """One person; `tokens` are those that every anchor names the person by, in the anchor's order."""

    def __init__(self, name: str, number: int, tokens: Sequence[bytes]) -> None:
        self.name = name
        self.tokens = tokens
        self._number = number
        self._keys: dict[str, Any] = {}

    def text(self, column: Column[Any]) -> str:
        """The canary of a text column."""
        return f"canary-{self.name}-{column.table.name}-{column.name}"

    def whole(self, column: Column[Any]) -> int:
        """The canary of a number."""
        place = [one.name for one in column.table.columns].index(column.name)
        return 700_000_000 + self._number * 1_000_000 + sum(map(ord, column.table.name)) * 100 + place

    async def seed(self, connection: AsyncConnection, declarations: Declarations) -> list[str]:
        """Writes the person into every store that can hold somebody; returns the stores."""
        tables = [table for table, found in declarations.stores() if found.subjects]
        for table in sorted(tables, key=lambda one: (not _anchors(one), len(_store(one).subjects), one.name)):
            await _open_partitions(connection, table)
            await self._write(connection, table)
        return sorted(table.name for table in tables)

    async def _write(self, connection: AsyncConnection, table: Table) -> None:
        row = {column.name: self._value(column) for column in table.columns if column.identity is None}
        for anchor in _anchors(table):
            row |= dict(zip(anchor.tokens, self.tokens, strict=False))
        for subject in _store(table).subjects:
            if not isinstance(subject, Anchor):
                row[subject.column] = self._keys[subject.anchor]
        key = next((anchor.key for anchor in _anchors(table)), None)
        statement = insert(table).values(row)
        if key is None:
            await connection.execute(statement)
        else:
            self._keys[table.name] = await connection.scalar(statement.returning(table.columns[key]))

    def _value(self, column: Column[Any]) -> object:
        values: Mapping[type, object] = {
            Boolean: True,
            Integer: self.whole(column) % (2**15 if isinstance(column.type, SmallInteger) else 2**31),
            DateTime: MOMENT,
            Date: MOMENT.date(),
            LargeBinary: self.text(column).encode(),
            JSON: {self.text(column): self.whole(column)},
        }
        if isinstance(column.type, ARRAY):
            binary = isinstance(column.type.item_type, LargeBinary)
            return [self.text(column).encode() if binary else self.text(column)]
        return next((value for kind, value in values.items() if isinstance(column.type, kind)), self.text(column))


def exported(declarations: Declarations, person: Canary, *, hidden: bool = False) -> list[str]:
    """The person's canaries in text columns that an access export shows, or in those that it must not."""
    return [
        person.text(column)
        for table, found in declarations.stores()
        if found.subjects
        for column in table.columns
        if (data := field(column)) is not None and data.exported is not hidden and column.name not in _keys(table)
        if not isinstance(column.type, Boolean | Integer | DateTime | Date)
    ]


def _keys(table: Table) -> set[str]:
    """Columns whose values are keys and tokens, not canaries."""
    named = {name for anchor in _anchors(table) for name in anchor.tokens}
    return named | {one.column for one in _store(table).subjects if not isinstance(one, Anchor)}


def _store(table: Table) -> Store:
    found = store(table)
    if found is None:
        raise LookupError(f"table {table.name} is not declared")
    return found


def _anchors(table: Table) -> list[Anchor]:
    return [subject for subject in _store(table).subjects if isinstance(subject, Anchor)]


async def _open_partitions(connection: AsyncConnection, table: Table) -> None:
    if table.dialect_options["postgresql"]["partition_by"]:
        name = f'"{table.name}_any"'
        await connection.execute(text(f'CREATE TABLE IF NOT EXISTS {name} PARTITION OF "{table.name}" DEFAULT'))
