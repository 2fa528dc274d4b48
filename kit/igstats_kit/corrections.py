"""Corrections (GDPR 16, CCPA 1798.106): a person's word takes the place of a value and outlives the next sync."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit import plan
from igstats_kit.declare import Declarations, correction_keys, field
from igstats_kit.pins import Pin, Pins, value_digest


@dataclass(frozen=True)
class Correction:
    """A value that is wrong; `field` is "store.column"."""

    field: str
    value: str


@dataclass(frozen=True)
class Change:
    """What became of one value: digests, never values."""

    field: str
    old_digest: bytes
    new_digest: bytes


class Corrections:
    """Corrects values of one service's stores, inside the caller's transaction."""

    def __init__(self, declarations: Declarations, pins: Pins) -> None:
        self._tables = declarations.tables
        self._pins = pins
        self._statements: Mapping[str, tuple[TextClause, ...]] = {
            f"{column.table.name}.{column.name}": tuple(_statements(declarations, column))
            for column in _correctable(declarations)
        }

    def refused(self, corrections: Sequence[Correction]) -> list[str]:
        """Fields of this service's stores that cannot be corrected; those of other services are not its affair."""
        mine = [one.field for one in corrections if one.field.partition(".")[0] in self._tables]
        return sorted(set(mine) - set(self._statements))

    async def apply(
        self, connection: AsyncConnection, request_id: str, binds: Mapping[str, Any], corrections: Sequence[Correction]
    ) -> list[Change]:
        """Writes and pins the values for the subjects whose keys `binds` carries; no changes when there are none."""
        changes: dict[Change, None] = {}
        pins: dict[tuple[bytes, str], Pin] = {}
        for one in corrections:
            for statement in self._statements.get(one.field, ()):
                known = plan.known(statement, {**binds, "value": one.value})
                for row in await connection.execute(statement, known):
                    token = bytes(row.token)
                    pins[token, one.field] = Pin(token, one.field, one.value, request_id)
                    old, new = value_digest(request_id, row.old), value_digest(request_id, one.value)
                    changes[Change(one.field, old, new)] = None
        if pins:
            await self._pins.keep(connection, list(pins.values()))
        return list(changes)


def _correctable(declarations: Declarations) -> Iterator[Column[Any]]:
    for table, _ in declarations.stores():
        for column in table.columns:
            if (data := field(column)) is not None and data.correctable:
                yield column


def _statements(declarations: Declarations, column: Column[Any]) -> Iterator[TextClause]:
    subjects = correction_keys(column.table)
    for path in plan.paths(declarations):
        if path.table is column.table and any(path.subject == subject for subject in subjects):
            yield plan.correct(declarations, path, column)
