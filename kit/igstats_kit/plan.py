"""SQL derived from data declarations. Set-based: one statement serves every subject of a batch.

Names in it come from declarations only, values are always bound: ruff's S608 does not apply (see pyproject).

Subjects are bound as arrays of keys, one bind per anchor table (`k_<anchor>`, text[]), so that each table is read by
its index. Every statement answers rows that name the store and the key: so counts find their way back to the request.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, TextClause, and_, select, text, true
from sqlalchemy.dialects import postgresql

from igstats_kit.declare import Action, Anchor, Declarations, Store, field
from igstats_kit.tables import restrictions

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves its constructor untyped
_PAIRS = (
    "WITH s AS MATERIALIZED (SELECT * FROM unnest(CAST(:requests AS text[]), CAST(:tokens AS bytea[]))"
    " AS s(request_id, token))"
)
_TOMBSTONES = (
    ", t AS (INSERT INTO tombstones (token, request_id) SELECT token, request_id FROM s ON CONFLICT DO NOTHING)"
)
_ERASED = (Action.DELETE, Action.REDACT)


@dataclass(frozen=True)
class Path:
    """One way from a subject to rows of `table`: rows whose `column` holds the key of a subject in `anchor`."""

    table: Table
    store: Store
    anchor: str
    column: Column[Any]

    @property
    def rows(self) -> str:
        """SQL condition for the rows of the bound subjects."""
        kind = self.column.type.compile(dialect=_DIALECT)
        return f"{_name(self.column)} = ANY(CAST(CAST(:{bind(self.anchor)} AS text[]) AS {kind}[]))"

    @property
    def key(self) -> str:
        """SQL expression of the subject's key as text."""
        return f"CAST({_name(self.column)} AS text)"


def bind(anchor: str) -> str:
    """Name of the bind that carries the keys of `anchor`."""
    return f"k_{anchor}"


def _name(column: Column[Any]) -> str:
    return f'"{column.name}"'


def paths(declarations: Declarations, *actions: Action) -> Iterator[Path]:
    """Ways to the rows of all stores with personal data, or of those with one of `actions`."""
    for table, store in declarations.stores():
        if actions and store.on_erase.action not in actions:
            continue
        for subject in store.subjects:
            if isinstance(subject, Anchor):
                yield Path(table, store, table.name, table.columns[subject.key])
            else:
                yield Path(table, store, subject.anchor, table.columns[subject.column])


def anchors(declarations: Declarations) -> list[tuple[Table, Anchor]]:
    """Tables whose rows name subjects."""
    return [
        (table, subject)
        for table, store in declarations.stores()
        for subject in store.subjects
        if isinstance(subject, Anchor)
    ]


def resolve(declarations: Declarations, *, fenced: bool) -> TextClause:
    """Finds which subjects the bound (:requests, :tokens) pairs mean; rows (request_id, store, key).

    Keeps them in subject_keys: the sweep needs them when the anchors are gone. Installs tombstones when `fenced`.
    One statement, because a deletion runs through here at every holder twice. Each token is looked up by itself (OFFSET
    keeps the planner from joining): it knows nothing of the bound pairs and would compare every one with every row.
    """
    selects = [
        f"SELECT s.request_id, '{table.name}', CAST(a.key AS text) FROM s CROSS JOIN LATERAL"
        f' (SELECT "{anchor.key}" AS key FROM "{table.name}" WHERE "{token}" = s.token OFFSET 0) AS a'
        for table, anchor in anchors(declarations)
        for token in anchor.tokens
    ]
    found = " UNION ".join(selects) or "SELECT request_id, '', '' FROM s WHERE false"
    return text(
        f"{_PAIRS}{_TOMBSTONES if fenced else ''}, f(request_id, store, key) AS ({found}),"
        " k AS (INSERT INTO subject_keys (request_id, store, key) SELECT * FROM f ON CONFLICT DO NOTHING)"
        " SELECT request_id, store, key FROM f UNION"
        " SELECT request_id, store, key FROM subject_keys WHERE request_id = ANY(CAST(:requests AS text[]))"
    )


def _union(selects: list[str]) -> TextClause | None:
    return text(" UNION ALL ".join(selects)) if selects else None


def needles(declarations: Declarations) -> TextClause | None:
    """Rows (anchor, key, value): every value that identifies a bound subject."""
    return _union(
        [
            f"SELECT '{path.anchor}', {path.key}, {_name(column)} FROM \"{path.table.name}\""
            f" WHERE {path.rows} AND {_name(column)} <> ''"
            for path in paths(declarations, *_ERASED)
            for column in path.table.columns
            if (data := field(column)) is not None and data.needle
        ]
    )


def erase(declarations: Declarations) -> TextClause:
    """Deletes or redacts the rows of the bound subjects, and counts what stays of them on a legal ground.

    Rows (store, anchor, key, count, newest): newest is the date of the newest row that stays, NULL for what went.
    What a replay of the ledger erased before, of the bound requests: (store, '', request id, count, NULL).
    """
    steps, selects = [], []
    for number, path in enumerate(paths(declarations, *_ERASED)):
        steps.append(f"e{number} AS ({_effect(path)} RETURNING {path.key} AS key)")
        selects.append(
            f"SELECT '{path.table.name}' AS store, '{path.anchor}' AS anchor, key, count(*) AS count,"
            f" CAST(NULL AS timestamptz) AS newest FROM e{number} GROUP BY key"
        )
    selects += [
        f"SELECT '{path.table.name}', '{path.anchor}', {path.key}, count(*),"
        f' CAST(max("{path.store.on_erase.column}") AS timestamptz)'
        f' FROM "{path.table.name}" WHERE {path.rows} GROUP BY {_name(path.column)}'
        for path in paths(declarations, Action.RETAIN)
    ]
    selects.append(
        "SELECT store, '', request_id, erased, NULL FROM replayed_erasures"
        " WHERE request_id = ANY(CAST(:requests AS text[]))"
    )
    return text(f"{'WITH ' if steps else ''}{', '.join(steps)} {' UNION ALL '.join(selects)}")


def _effect(path: Path) -> str:
    if path.store.on_erase.action is Action.DELETE:
        return f'DELETE FROM "{path.table.name}" WHERE {path.rows}'
    changes = ", ".join(f"{_name(column)} = {_empty(column)}" for column in _personal(path.table))
    return f'UPDATE "{path.table.name}" SET {changes} WHERE {path.rows} AND ({_filled(path.table)})'


def _personal(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if (data := field(column)) is not None and data.category]


def _empty(column: Column[Any]) -> str:
    return "NULL" if column.nullable else f"CAST('' AS {column.type.compile(dialect=_DIALECT)})"


def _filled(table: Table) -> str:
    return " OR ".join(f"{_name(column)} IS DISTINCT FROM {_empty(column)}" for column in _personal(table))


def sweep(declarations: Declarations) -> TextClause | None:
    """Rows (place, anchor, key or needle, count): what erasure left behind. `anchor` is empty for a needle's place."""
    found = list(paths(declarations, *_ERASED))
    selects = [
        f"SELECT '{path.table.name}', '{path.anchor}', {path.key}, count(*) FROM \"{path.table.name}\""
        f" WHERE {path.rows}{_still(path)} GROUP BY {_name(path.column)}"
        for path in found
    ]
    places = {(path.table.name, column.name) for path in found for column in path.table.columns if _is_needle(column)}
    selects += [
        f"SELECT '{table}.{column}', '', \"{column}\", count(*) FROM \"{table}\""
        f' WHERE "{column}" = ANY(CAST(:needles AS text[])) GROUP BY "{column}"'
        for table, column in sorted(places)
    ]
    return _union(selects)


def _still(path: Path) -> str:
    return f" AND ({_filled(path.table)})" if path.store.on_erase.action is Action.REDACT else ""


def _is_needle(column: Column[Any]) -> bool:
    data = field(column)
    return data is not None and data.needle


def exports(declarations: Declarations) -> list[tuple[Table, TextClause]]:
    """One query per store that an access export includes: the exported columns, in declared order."""
    conditions: dict[str, list[str]] = {}
    for path in paths(declarations):
        conditions.setdefault(path.table.name, []).append(path.rows)
    found = []
    for name, ways in conditions.items():
        table = declarations.tables[name]
        columns = [c for c in table.columns if (data := field(c)) is not None and data.exported]
        if columns:
            order = ", ".join(_name(column) for column in table.primary_key.columns) or "1"
            names = ", ".join(map(_name, columns))
            query = f'SELECT {names} FROM "{name}" WHERE {" OR ".join(ways)} ORDER BY {order}'
            found.append((table, text(query)))
    return found


def unrestricted(declarations: Declarations, table: Table) -> ColumnElement[bool]:
    """Condition for rows of `table` whose subjects have not restricted processing (GDPR 18)."""
    conditions: list[ColumnElement[bool]] = []
    for path in paths(declarations):
        if path.table is not table:
            continue
        anchored, anchor = declarations.anchor_of(path.anchor)
        tokens = [anchored.columns[name] for name in anchor.tokens]
        for token in tokens:
            fenced = select(restrictions.c.token).where(restrictions.c.token == token)
            if anchored is not table:
                fenced = fenced.where(anchored.columns[anchor.key] == path.column)
            conditions.append(~fenced.correlate(table).exists())
    return and_(true(), *conditions)
