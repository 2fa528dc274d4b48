"""Reads what exports include, of all persons of a batch at once: a statement for all stores, a cursor, a line a row."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit import plan
from igstats_kit.declare import Declarations
from igstats_kit.sql import driver

_ROWS = 500
_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves its constructor untyped

Keys = Mapping[tuple[str, str], Sequence[str]]
"""Requests by anchor and key of the subjects that they mean."""
Binds = Mapping[str, Sequence[str]]
Opener = Callable[[Sequence[dict[str, Any]]], Awaitable[Sequence[dict[str, Any]]]]
"""Adds to exported rows of a store what is sealed elsewhere, row by row: an access export shows all that is held."""


class Line(NamedTuple):
    """One row of a store as a line of JSON, and the requests whose persons it is about."""

    requests: Collection[str]
    store: str
    content: bytes


class Exports:
    """The statements of one service's exports."""

    def __init__(self, declarations: Declarations, openers: Mapping[str, Opener]) -> None:
        self._openers = openers
        self._hidden = {
            table.name: dict.fromkeys(one.name for one in found.reveals)
            for table, found in declarations.stores()
            if found.reveals or table.name in openers
        }
        self._shares = {
            portable: plan.exports(declarations, portable=portable, apart=self._hidden) for portable in (False, True)
        }

    async def lines(
        self, connection: AsyncConnection, keys: Keys, binds: Binds, *, portable: bool
    ) -> AsyncIterator[Line]:
        """Yields what is held of the subjects of `keys`; `binds` are those keys as statements take them."""
        shares = self._shares[portable]
        if not keys:
            return
        if shares.lines is not None:
            async for store, *owners, content in _cursor(connection, shares.lines, binds):
                yield Line(_requests(keys, shares.owners[store], owners), store, content.encode() + b"\n")
        for table, query in shares.apart:
            async for line in self._opened(connection, keys, shares.owners[table.name], query, binds):
                yield line

    async def _opened(
        self, connection: AsyncConnection, keys: Keys, anchors: Sequence[str], query: TextClause, binds: Binds
    ) -> AsyncIterator[Line]:
        """Rows to which something is added, so many at a time."""
        result = await connection.stream(query, plan.known(query, binds))
        names = list(result.keys())[1 + len(anchors) :]
        async for some in result.partitions(_ROWS):
            store, content = some[0][0], [dict(zip(names, row[1 + len(anchors) :], strict=True)) for row in some]
            opener = self._openers.get(store)
            found = await opener(content) if opener else content
            for row, opened in zip(some, found, strict=True):
                owners = _requests(keys, anchors, row[1 : 1 + len(anchors)])
                yield Line(owners, store, json_line(self._hidden[store] | opened))


def _cursor(connection: AsyncConnection, query: TextClause, binds: Binds) -> AsyncIterator[Sequence[Any]]:
    """Rows of a statement, of which so many at a time are in memory; a small answer costs one round trip."""
    compiled = query.compile(dialect=_DIALECT)
    found: AsyncIterator[Sequence[Any]] = driver(connection).cursor(
        str(compiled), *(binds[name] for name in compiled.positiontup or ()), prefetch=_ROWS
    )
    return found


def _requests(keys: Keys, anchors: Sequence[str], owners: Sequence[str | None]) -> Collection[str]:
    """Whose a row is: it may be of several persons, and of one person in several ways."""
    if len(anchors) == 1:
        return keys.get((anchors[0], owners[0] or ""), ())
    ways = [keys.get((anchor, owner), ()) for anchor, owner in zip(anchors, owners, strict=False) if owner is not None]
    return dict.fromkeys(request_id for some in ways for request_id in some)


def _plain(value: object) -> str | float:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"a {type(value).__name__} cannot be exported: declare its column exported=False")


def json_line(row: Mapping[str, Any]) -> bytes:
    """One row as a line of JSON Lines."""
    return json.dumps(row, default=_plain, ensure_ascii=False).encode() + b"\n"
