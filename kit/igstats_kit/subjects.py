"""What a holder does to subjects, derived from its declarations: fence, erase, sweep, export, restrict."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit import plan
from igstats_kit.declare import Declarations
from igstats_kit.fence import lock
from igstats_kit.seal import Sealer

_RESTRICT = text(
    "INSERT INTO restrictions (token, request_id) SELECT token, request_id"
    " FROM unnest(CAST(:tokens AS bytea[]), CAST(:requests AS text[])) AS s(token, request_id) ON CONFLICT DO NOTHING"
)
_LIFT = text("DELETE FROM restrictions WHERE token = ANY(CAST(:tokens AS bytea[]))")
_FOUND = text(
    "SELECT request_id, store, key, NULL AS sealed FROM subject_keys WHERE request_id = ANY(CAST(:requests AS text[]))"
    " UNION ALL SELECT request_id, NULL, NULL, sealed FROM needles WHERE request_id = ANY(CAST(:requests AS text[]))"
)
_KEEP_NEEDLES = text(
    "INSERT INTO needles (request_id, sealed) SELECT * FROM unnest(CAST(:requests AS text[]), CAST(:sealed AS bytea[]))"
    " ON CONFLICT DO NOTHING"
)
_EXPORT_ROWS = 500
_FORGET = text(
    "WITH k AS (DELETE FROM subject_keys WHERE request_id = ANY(CAST(:requests AS text[]))),"
    " n AS (DELETE FROM needles WHERE request_id = ANY(CAST(:requests AS text[])))"
    " SELECT * FROM task_receipts WHERE request_id = ANY(CAST(:requests AS text[])) ORDER BY phase"
)


@dataclass(frozen=True)
class Case:
    """One request at this holder: the person's tokens, and the identifiers as given (needles)."""

    request_id: str
    tokens: tuple[bytes, ...]
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """Rows that stay on a legal ground."""

    store: str
    fields: tuple[str, ...]
    ground: str
    until: datetime
    count: int


@dataclass
class Result:
    """What happened to one request: rows by store, and what stays."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    kept: list[Kept] = field(default_factory=list)


Keys = Mapping[tuple[str, str], Sequence[str]]
Opener = Callable[[Sequence[dict[str, Any]]], Awaitable[Sequence[dict[str, Any]]]]
"""Adds to exported rows of a store what is sealed elsewhere: an access export shows all that is held."""


class Subjects:
    """Acts on the subjects of a batch of requests, inside the caller's transaction."""

    def __init__(
        self, declarations: Declarations, sealer: Sealer, openers: Mapping[str, Opener] = MappingProxyType({})
    ) -> None:
        self.declarations = declarations
        self._sealer = sealer
        self._openers = openers
        self._anchors = [table.name for table, _ in plan.anchors(declarations)]
        self._find = plan.resolve(declarations, fenced=False)
        self._close_in = plan.resolve(declarations, fenced=True)
        self._needles = plan.needles(declarations)
        self._erase = plan.erase(declarations)
        self._sweep = plan.sweep(declarations)
        self._exports = plan.exports(declarations)

    async def fence(self, connection: AsyncConnection, cases: Sequence[Case]) -> None:
        """Installs tombstones, finds the subjects, and keeps the values that the sweep will search for."""
        keys = await self._fenced(connection, cases)
        values: dict[str, set[str]] = {case.request_id: set(case.values) for case in cases}
        for anchor, key, value in await self._run(connection, self._needles, keys):
            for request_id in keys[anchor, key]:
                values[request_id].add(value)
        sealed = [self._sealer.seal(json.dumps(sorted(found)).encode(), name) for name, found in values.items()]
        await connection.execute(_KEEP_NEEDLES, {"requests": list(values), "sealed": sealed})

    async def _fenced(self, connection: AsyncConnection, cases: Sequence[Case]) -> Keys:
        pairs = _pairs(cases)
        await lock(connection, pairs["tokens"], exclusive=True)
        return _grouped(await connection.execute(self._close_in, pairs))

    async def erase(
        self, connection: AsyncConnection, cases: Sequence[Case], *, replayed: bool = False
    ) -> dict[str, Result]:
        """Deletes or redacts what the declarations say. Fences again first: a database restored meanwhile forgot it.

        With `replayed`, rows that a replay of the ledger has erased before are counted too.
        """
        keys = await self._fenced(connection, cases)
        results = {case.request_id: Result() for case in cases}
        binds = {"requests": list(results) if replayed else []}
        for store, anchor, key, count, newest in await self._run(connection, self._erase, keys, **binds):
            for request_id in keys[anchor, key] if anchor else [key]:
                if newest is None:
                    results[request_id].counts[store] += count
                else:
                    results[request_id].kept.append(self._kept(store, count, newest))
        return results

    def _kept(self, store: str, count: int, newest: datetime) -> Kept:
        table = self.declarations.tables[store]
        rule = next(found.on_erase for other, found in self.declarations.stores() if other is table)
        fields = tuple(column.name for column in table.columns if column.info["data"].category)
        return Kept(store, fields, rule.ground, newest + timedelta(days=rule.days), count)

    async def sweep(self, connection: AsyncConnection, cases: Sequence[Case]) -> dict[str, Result]:
        """Searches every declared store for the subjects' keys and needles; counts name places, never values."""
        rows = (await connection.execute(_FOUND, {"requests": [case.request_id for case in cases]})).all()
        keys = _grouped(row for row in rows if row.sealed is None)
        owners = self._needle_owners([row for row in rows if row.sealed is not None], cases)
        results = {case.request_id: Result() for case in cases}
        found = await self._run(connection, self._sweep, keys, needles=list(owners))
        for place, anchor, value, count in found:
            for request_id in keys[anchor, value] if anchor else owners[value]:
                results[request_id].counts[place] += count
        return results

    def _needle_owners(self, rows: Iterable[Any], cases: Sequence[Case]) -> dict[str, set[str]]:
        owners: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            for value in json.loads(self._sealer.open(bytes(row.sealed), row.request_id)):
                owners[value].add(row.request_id)
        for case in cases:
            for value in case.values:
                owners[value].add(case.request_id)
        return owners

    async def forget(self, connection: AsyncConnection, requests: Sequence[str]) -> dict[str, list[bytes]]:
        """Removes keys and needles: the requests need them no more. Answers the receipts of each, by phase."""
        receipts: dict[str, list[bytes]] = defaultdict(list)
        for row in await connection.execute(_FORGET, {"requests": list(requests)}):
            receipts[row.request_id].append(bytes(row.receipt))
        return receipts

    async def export(self, connection: AsyncConnection, case: Case) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yields (store, row) of everything an access export includes."""
        binds = self._binds(_grouped(await connection.execute(self._find, _pairs([case]))))
        for table, query in self._exports:
            rows = await connection.stream(query, _known(query, binds))
            async for some in rows.mappings().partitions(_EXPORT_ROWS):
                found: Sequence[dict[str, Any]] = [dict(row) for row in some]
                if opener := self._openers.get(table.name):
                    found = await opener(found)
                for row in found:
                    yield table.name, row

    async def restrict(self, connection: AsyncConnection, cases: Sequence[Case]) -> None:
        """Installs restrictions: the data stays and is not used (GDPR 18)."""
        pairs = _pairs(cases)
        await lock(connection, pairs["tokens"], exclusive=True)
        await connection.execute(_RESTRICT, pairs)

    async def lift(self, connection: AsyncConnection, cases: Sequence[Case]) -> None:
        """Takes restrictions away."""
        await connection.execute(_LIFT, {"tokens": _pairs(cases)["tokens"]})

    def _binds(self, keys: Keys) -> dict[str, list[str]]:
        binds: dict[str, list[str]] = {plan.bind(name): [] for name in self._anchors}
        for anchor, key in keys:
            binds[plan.bind(anchor)].append(key)
        return binds

    async def _run(
        self, connection: AsyncConnection, query: TextClause | None, keys: Keys, **binds: list[str]
    ) -> Sequence[Any]:
        if query is None or not (keys or binds):
            return []
        return (await connection.execute(query, _known(query, self._binds(keys) | binds))).all()


def _grouped(rows: Iterable[Any]) -> Keys:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        found[row.store, row.key].append(row.request_id)
    return found


def _known(query: TextClause, binds: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: value for name, value in binds.items() if name in query._bindparams}  # noqa: SLF001 - which names a statement has, nothing else tells


def _pairs(cases: Iterable[Case]) -> dict[str, list[Any]]:
    pairs = [(case.request_id, token) for case in cases for token in case.tokens]
    return {"requests": [request for request, _ in pairs], "tokens": [token for _, token in pairs]}
