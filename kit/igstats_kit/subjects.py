"""What a holder does to subjects, derived from its declarations: fence, erase, sweep, export, correct, restrict."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit import plan
from igstats_kit.corrections import Change, Correction, Corrections
from igstats_kit.declare import Declarations
from igstats_kit.export_lines import Exports, Keys, Line, Opener
from igstats_kit.fence import lock
from igstats_kit.holds import Hold, held
from igstats_kit.pins import Pins
from igstats_kit.seal import Sealer
from igstats_kit.sql import fetch

_RESTRICT = text(
    "INSERT INTO restrictions (token, request_id) SELECT token, request_id"
    " FROM unnest(CAST(:tokens AS bytea[]), CAST(:requests AS text[])) AS s(token, request_id) ON CONFLICT DO NOTHING"
)
# What a hold keeps of an erased person stays out of use whoever lifts a restriction (CCPA 7022(c)(2)).
_LIFT = text(
    "DELETE FROM restrictions AS r WHERE token = ANY(CAST(:tokens AS bytea[]))"
    " AND NOT EXISTS (SELECT FROM tombstones WHERE tombstones.token = r.token)"
)
_OBJECT = text(
    'INSERT INTO objections (token, "right", request_id) SELECT token, CAST(:right AS text), request_id'
    " FROM unnest(CAST(:tokens AS bytea[]), CAST(:requests AS text[])) AS s(token, request_id) ON CONFLICT DO NOTHING"
)
_RESUME = text(
    'DELETE FROM objections WHERE token = ANY(CAST(:tokens AS bytea[])) AND "right" = ANY(CAST(:rights AS text[]))'
)
_FOUND = text(
    "SELECT request_id, store, key, NULL AS sealed FROM subject_keys WHERE request_id = ANY(CAST(:requests AS text[]))"
    " UNION ALL SELECT request_id, NULL, NULL, sealed FROM needles WHERE request_id = ANY(CAST(:requests AS text[]))"
)
_KEEP_NEEDLES = text(
    "INSERT INTO needles (request_id, sealed) SELECT * FROM unnest(CAST(:requests AS text[]), CAST(:sealed AS bytea[]))"
    " ON CONFLICT DO NOTHING RETURNING request_id"
)
_KEPT_NEEDLES = text(
    "SELECT request_id, sealed FROM needles WHERE request_id = ANY(CAST(:requests AS text[]))"
    " ORDER BY request_id FOR UPDATE"
)
_CHANGE_NEEDLES = text(
    "UPDATE needles AS n SET sealed = g.sealed"
    " FROM unnest(CAST(:requests AS text[]), CAST(:sealed AS bytea[])) AS g(request_id, sealed)"
    " WHERE n.request_id = g.request_id"
)
_LET_GO = text("DELETE FROM subject_keys WHERE request_id = ANY(CAST(:requests AS text[]))")
_FORGET = text(
    "WITH k AS (DELETE FROM subject_keys WHERE request_id = ANY(CAST(:requests AS text[]))),"
    " n AS (UPDATE needles SET erased_at = :now, next_at = :search_at"
    " WHERE request_id = ANY(CAST(:requests AS text[])))"
    " SELECT * FROM task_receipts WHERE request_id = ANY(CAST(:requests AS text[])) ORDER BY phase"
)


@dataclass(frozen=True)
class Case:
    """One request at this holder: the person's tokens, the identifiers as given (needles), and what stays by a hold."""

    request_id: str
    tokens: tuple[bytes, ...]
    values: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()


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


class _Key(NamedTuple):
    request_id: str
    store: str
    key: str


class Subjects:
    """Acts on the subjects of a batch of requests, inside the caller's transaction."""

    def __init__(
        self, declarations: Declarations, sealer: Sealer, openers: Mapping[str, Opener] = MappingProxyType({})
    ) -> None:
        self.declarations = declarations
        self._sealer = sealer
        self._anchors = [table.name for table, _ in plan.anchors(declarations)]
        self._find = plan.resolve(declarations, fenced=False)
        self._close_in = plan.resolve(declarations, fenced=True)
        self._needles = plan.needles(declarations)
        self._look = plan.look(declarations)
        self._erasing = cache(partial(plan.erase, declarations))
        self._sweeping = cache(partial(plan.sweep, declarations))
        self._previewing = cache(partial(plan.preview, declarations))
        self._exports = Exports(declarations, openers)
        self._corrections = Corrections(declarations, Pins(sealer))

    async def fence(
        self, connection: AsyncConnection, cases: Sequence[Case], *, found_only: bool = False
    ) -> frozenset[str]:
        """Installs tombstones, finds the subjects, and keeps the values that the sweep will search for.

        Answers of which requests such values are kept for the first time; with `found_only`, of persons who are here.
        """
        keys = await self._fenced(connection, cases)
        values: dict[str, set[str]] = {case.request_id: set(case.values) for case in cases}
        for anchor, key, value in await self._run(connection, self._needles, keys):
            for request_id in keys[anchor, key]:
                values[request_id].add(value)
        return await self._keep({name: one for name, one in values.items() if one or not found_only}, connection)

    async def _keep(self, values: Mapping[str, set[str]], connection: AsyncConnection) -> frozenset[str]:
        kept = frozenset(row.request_id for row in await fetch(connection, _KEEP_NEEDLES, self._sealed(values)))
        if more := {name: one for name, one in values.items() if name not in kept}:
            await self._keep_more(more, connection)
        return kept

    async def _keep_more(self, values: Mapping[str, set[str]], connection: AsyncConnection) -> None:
        """Adds to what is kept already: a replay of the ledger came before the fence, or the fence comes again."""
        rows = await fetch(connection, _KEPT_NEEDLES, {"requests": list(values)})
        known = {row.request_id: self._needles_of(row) for row in rows}
        more = {name: one | values[name] for name, one in known.items() if values[name] - one}
        await fetch(connection, _CHANGE_NEEDLES, self._sealed(more))

    def _sealed(self, values: Mapping[str, set[str]]) -> dict[str, list[Any]]:
        sealed = [self._sealer.seal(json.dumps(sorted(found)).encode(), name) for name, found in values.items()]
        return {"requests": list(values), "sealed": sealed}

    def _needles_of(self, row: Any) -> set[str]:  # noqa: ANN401 - a row of needles
        return set(json.loads(self._sealer.open(bytes(row.sealed), row.request_id)))

    async def _fenced(self, connection: AsyncConnection, cases: Sequence[Case]) -> Keys:
        pairs = _pairs(cases)
        await lock(connection, pairs["tokens"], exclusive=True)
        return _grouped(await fetch(connection, self._close_in, pairs))

    async def erase(
        self, connection: AsyncConnection, cases: Sequence[Case], *, replayed: bool = False
    ) -> dict[str, Result]:
        """Deletes or redacts what the declarations say. Fences again first: a database restored meanwhile forgot it.

        With `replayed`, rows that a replay of the ledger has erased before are counted too.
        """
        keys = await self._fenced(connection, cases)
        await self._put_aside(connection, [case for case in cases if case.holds])
        results = {case.request_id: Result() for case in cases}
        for stores, some in self._by_holds(cases):
            mine = keys if len(some) == len(cases) else _of(keys, some)
            binds = {"requests": [case.request_id for case in some] if replayed else [], **_named(some)}
            self._count(await self._run(connection, self._erasing(stores), mine, **binds), mine, some, results)
        return results

    async def _put_aside(self, connection: AsyncConnection, cases: Sequence[Case]) -> None:
        """What a hold keeps is fenced for all other purposes (CCPA 7022(c)(2)): nobody reads it, no purge takes it."""
        if cases:
            await fetch(connection, _RESTRICT, _pairs(cases))

    def _by_holds(self, cases: Sequence[Case]) -> Iterable[tuple[frozenset[str], list[Case]]]:
        """Cases together by the stores that stay: nearly always all of them, and none stays."""
        groups: dict[frozenset[str], list[Case]] = defaultdict(list)
        for case in cases:
            groups[frozenset(held(self.declarations, case.holds))].append(case)
        return groups.items()

    def _count(self, rows: Iterable[Any], keys: Keys, cases: Sequence[Case], results: Mapping[str, Result]) -> None:
        """Brings counts back to their requests."""
        holds = {case.request_id: held(self.declarations, case.holds) for case in cases if case.holds}
        for store, anchor, key, count, newest in rows:
            for request_id in keys[anchor, key] if anchor else [key]:
                if newest is None:
                    results[request_id].counts[store] += count
                else:
                    hold = holds.get(request_id, {}).get(store)
                    results[request_id].kept.append(self._kept(store, count, newest, hold))

    def _kept(self, store: str, count: int, newest: datetime, hold: Hold | None) -> Kept:
        table = self.declarations.tables[store]
        fields = tuple(column.name for column in table.columns if column.info["data"].category)
        if hold is not None:
            return Kept(store, fields, hold.ground, hold.until, count)
        rule = next(found.on_erase for other, found in self.declarations.stores() if other is table)
        return Kept(store, fields, rule.ground, newest + timedelta(days=rule.days), count)

    async def preview(self, connection: AsyncConnection, case: Case) -> Result:
        """What `erase` would do to the person of `case`; changes nothing."""
        keys, results = _grouped(await connection.execute(self._look, _pairs([case]))), {case.request_id: Result()}
        stores = frozenset(held(self.declarations, case.holds))
        self._count(await self._run(connection, self._previewing(stores), keys), keys, [case], results)
        return results[case.request_id]

    async def sweep(self, connection: AsyncConnection, cases: Sequence[Case]) -> dict[str, Result]:
        """Searches every declared store for the subjects' keys and needles; counts name places, never values.

        Stores that stay by a hold are left out.
        """
        results = {case.request_id: Result() for case in cases}
        for stores, some in self._by_holds(cases):
            for place, owners, count in await self._search(connection, stores, some):
                for request_id in owners:
                    results[request_id].counts[place] += count
        return results

    async def _search(
        self, connection: AsyncConnection, stores: frozenset[str], cases: Sequence[Case]
    ) -> list[tuple[str, Iterable[str], int]]:
        """Places that still hold something, whose it is, and how many rows."""
        rows = await fetch(connection, _FOUND, {"requests": [case.request_id for case in cases]})
        keys = _grouped(row for row in rows if row.sealed is None)
        needles = self._needle_owners([row for row in rows if row.sealed is not None], cases)
        pinned = _grouped(_Key(case.request_id, "pins", token.hex()) for case in cases for token in case.tokens)
        owners = {**keys, **pinned}
        found = await self._run(connection, self._sweeping(stores), keys, needles=list(needles), **_named(cases))
        return [(place, owners[anchor, key] if anchor else needles[key], count) for place, anchor, key, count in found]

    def _needle_owners(self, rows: Iterable[Any], cases: Sequence[Case]) -> dict[str, set[str]]:
        owners: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            for value in self._needles_of(row):
                owners[value].add(row.request_id)
        for case in cases:
            for value in case.values:
                owners[value].add(case.request_id)
        return owners

    async def let_go(self, connection: AsyncConnection, requests: Sequence[str]) -> None:
        """Removes the keys of requests to which no task comes any more."""
        await fetch(connection, _LET_GO, {"requests": list(requests)})

    async def forget(
        self, connection: AsyncConnection, requests: Sequence[str], now: datetime, search_at: datetime
    ) -> dict[str, list[bytes]]:
        """Removes keys, and plans the first deep sweep for the needles. Answers the receipts of each, by phase."""
        receipts: dict[str, list[bytes]] = defaultdict(list)
        binds = {"requests": list(requests), "now": now, "search_at": search_at}
        for row in await fetch(connection, _FORGET, binds):
            receipts[row.request_id].append(bytes(row.receipt))
        return receipts

    async def export(
        self, connection: AsyncConnection, cases: Sequence[Case], *, portable: bool = False
    ) -> AsyncIterator[Line]:
        """Yields everything an access export includes, or what the persons can take along, whoever's comes first."""
        keys = _grouped(await fetch(connection, self._look, _pairs(cases)))
        async for line in self._exports.lines(connection, keys, self._binds(keys), portable=portable):
            yield line

    def uncorrectable(self, corrections: Sequence[Correction]) -> list[str]:
        """Fields of this service's stores that cannot be corrected."""
        return self._corrections.refused(corrections)

    async def correct(self, connection: AsyncConnection, case: Case, corrections: Sequence[Correction]) -> list[Change]:
        """Writes the right values of fields of this service's stores, and pins them against the next sync."""
        pairs = _pairs([case])
        await lock(connection, pairs["tokens"], exclusive=True)
        keys = _grouped(await connection.execute(self._find, pairs))
        return await self._corrections.apply(connection, case.request_id, self._binds(keys), corrections)

    async def object_to(self, connection: AsyncConnection, cases: Sequence[Case], right: str) -> None:
        """Notes that the persons object (GDPR 21) or opt out of sale and sharing: nothing is disclosed any more."""
        pairs = _pairs(cases)
        await lock(connection, pairs["tokens"], exclusive=True)
        await connection.execute(_OBJECT, pairs | {"right": right})

    async def resume(self, connection: AsyncConnection, cases: Sequence[Case], rights: Iterable[str]) -> None:
        """Takes the persons' wishes by these rights away: objections, opt-outs, or both."""
        await connection.execute(_RESUME, {"tokens": _pairs(cases)["tokens"], "rights": list(rights)})

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
        self, connection: AsyncConnection, query: TextClause | None, keys: Keys, **binds: Sequence[Any]
    ) -> Sequence[Any]:
        if query is None or not (keys or binds):
            return []
        return await fetch(connection, query, {**self._binds(keys), **binds})


def _grouped(rows: Iterable[Any]) -> Keys:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        found[row.store, row.key].append(row.request_id)
    return found


def _of(keys: Keys, cases: Iterable[Case]) -> Keys:
    """Those of the keys that belong to some of the cases."""
    mine = {case.request_id for case in cases}
    found = {key: [request_id for request_id in owners if request_id in mine] for key, owners in keys.items()}
    return {key: owners for key, owners in found.items() if owners}


def _named(cases: Iterable[Case]) -> dict[str, list[Any]]:
    """The pairs as statements bind them that name requests for another reason, too."""
    pairs = _pairs(cases)
    return {"named": pairs["requests"], "tokens": pairs["tokens"]}


def _pairs(cases: Iterable[Case]) -> dict[str, list[Any]]:
    pairs = [(case.request_id, token) for case in cases for token in case.tokens]
    return {"requests": [request for request, _ in pairs], "tokens": [token for _, token in pairs]}
