"""Reads what exports include, of all persons of a batch at once: a statement for all stores, a cursor, a line a row."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit import plan
from igstats_kit.declare import Declarations
from igstats_kit.sql import Row, each

_ROWS = 500

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
            async for store, *owners, content in each(connection, shares.lines, binds, _ROWS):
                yield Line(_requests(keys, shares.owners[store], owners), store, content.encode() + b"\n")
        for table, query in shares.apart:
            async for line in self._opened(connection, keys, table.name, query, shares.owners[table.name], binds):
                yield line

    async def _opened(
        self,
        connection: AsyncConnection,
        keys: Keys,
        table: str,
        query: TextClause,
        anchors: Sequence[str],
        binds: Binds,
    ) -> AsyncIterator[Line]:
        """Rows to which something is added, so many at a time."""
        opener, content = self._openers.get(table), 1 + len(anchors)
        async for some in _pages(each(connection, query, binds, _ROWS)):
            rows: Sequence[dict[str, Any]] = [dict(list(row.items())[content:]) for row in some]
            found = await opener(rows) if opener else rows
            for row, opened in zip(some, found, strict=True):
                yield Line(_requests(keys, anchors, row[1:content]), table, json_line(self._hidden[table] | opened))


async def _pages(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    """So many rows at a time."""
    page: list[Row] = []
    async for row in rows:
        page.append(row)
        if len(page) == _ROWS:
            yield page
            page = []
    if page:
        yield page


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
