"""SQL derived from data declarations. Set-based: one statement serves every subject of a batch.

Names in it come from declarations only, values are always bound: ruff's S608 does not apply (see pyproject).

Subjects are bound as arrays of keys, one bind per anchor table (`k_<anchor>`, text[]), so that each table is read by
its index. Every statement answers rows that name the store and the key: so counts find their way back to the request.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, TextClause, and_, select, text, true

from igstats_kit.declare import Action, Anchor, Declarations, Store, Subject, field
from igstats_kit.sql import DIALECT
from igstats_kit.tables import restrictions

_PAIRS = (
    "WITH s AS MATERIALIZED (SELECT * FROM unnest(CAST(:requests AS text[]), CAST(:tokens AS bytea[]))"
    " AS s(request_id, token))"
)
_TOMBSTONES = (
    ", t AS (INSERT INTO tombstones (token, request_id) SELECT token, request_id FROM s ON CONFLICT DO NOTHING)"
)
_LIFTED = "lifted AS (DELETE FROM restrictions WHERE token = ANY(CAST(:tokens AS bytea[])))"
_ERASED = (Action.DELETE, Action.REDACT)


@dataclass(frozen=True)
class Path:
    """One way from a subject to rows of `table`: rows whose `column` holds the key of a subject in `anchor`."""

    table: Table
    store: Store
    anchor: str
    column: Column[Any]
    subject: Subject

    @property
    def rows(self) -> str:
        """SQL condition for the rows of the bound subjects."""
        kind = self.column.type.compile(dialect=DIALECT)
        return f"{_name(self.column)} = ANY(CAST(CAST(:{bind(self.anchor)} AS text[]) AS {kind}[]))"

    @property
    def key(self) -> str:
        """SQL expression of the subject's key as text."""
        return f"CAST({_name(self.column)} AS text)"


def bind(anchor: str) -> str:
    """Name of the bind that carries the keys of `anchor`."""
    return f"k_{anchor}"


def known(query: TextClause, binds: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the binds that `query` has."""
    return {name: value for name, value in binds.items() if name in query._bindparams}  # noqa: SLF001 - which names a statement has, nothing else tells


def _name(column: Column[Any]) -> str:
    return f'"{column.name}"'


def paths(declarations: Declarations, *actions: Action) -> Iterator[Path]:
    """Ways to the rows of all stores with personal data, or of those with one of `actions`."""
    for table, store in declarations.stores():
        if actions and store.on_erase.action not in actions:
            continue
        for subject in store.subjects:
            if isinstance(subject, Anchor):
                yield Path(table, store, table.name, table.columns[subject.key], subject)
            else:
                yield Path(table, store, subject.anchor, table.columns[subject.column], subject)


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
    return text(
        f"{_PAIRS}{_TOMBSTONES if fenced else ''}, {_named(declarations)},"
        " k AS (INSERT INTO subject_keys (request_id, store, key) SELECT * FROM f ON CONFLICT DO NOTHING)"
        " SELECT request_id, store, key FROM f UNION"
        " SELECT request_id, store, key FROM subject_keys WHERE request_id = ANY(CAST(:requests AS text[]))"
    )


def look(declarations: Declarations) -> TextClause:
    """Finds subjects as `resolve` does and changes nothing."""
    return text(f"{_PAIRS}, {_named(declarations)} SELECT request_id, store, key FROM f")


def _named(declarations: Declarations) -> str:
    selects = [
        f"SELECT s.request_id, '{table.name}', CAST(a.key AS text) FROM s CROSS JOIN LATERAL"
        f' (SELECT "{anchor.key}" AS key FROM "{table.name}" WHERE "{token}" = s.token OFFSET 0) AS a'
        for table, anchor in anchors(declarations)
        for token in anchor.tokens
    ]
    found = " UNION ".join(selects) or "SELECT request_id, '', '' FROM s WHERE false"
    return f"f(request_id, store, key) AS ({found})"


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


def erase(declarations: Declarations, kept: Collection[str] = ()) -> TextClause:
    """Deletes or redacts the rows of the bound subjects, and counts what stays of them: by law, or `kept` by a hold.

    Rows (store, anchor, key, count, newest): newest is the date of the newest row that stays, NULL for what went.
    What a replay of the ledger erased before, of the bound requests: (store, '', request id, count, NULL).
    Restrictions go as well where nothing is kept: tombstones refuse the same, and what is left must be able to age.
    """
    steps, selects = [] if kept else [_LIFTED], []
    for number, path in enumerate(_leaving(declarations, kept)):
        steps.append(f"e{number} AS ({_effect(path)} RETURNING {path.key} AS key)")
        selects.append(
            f"SELECT '{path.table.name}' AS store, '{path.anchor}' AS anchor, key, count(*) AS count,"
            f" CAST(NULL AS timestamptz) AS newest FROM e{number} GROUP BY key"
        )
    selects += _staying(declarations, kept)
    if pinning(declarations):
        steps.append(_unpinned(declarations))
        selects.append("SELECT 'pins', anchor, key, count(*), NULL FROM unpinned GROUP BY anchor, key")
    selects.append(
        "SELECT store, '', request_id, erased, NULL FROM replayed_erasures"
        " WHERE request_id = ANY(CAST(:requests AS text[]))"
    )
    return text(f"{'WITH ' if steps else ''}{', '.join(steps)} {' UNION ALL '.join(selects)}")


def preview(declarations: Declarations, kept: Collection[str] = ()) -> TextClause | None:
    """What `erase` would answer; changes nothing. A row that two ways lead to is counted once, by the first of them."""
    selects, before = [], dict[str, list[str]]()
    for path in _leaving(declarations, kept):
        others = "".join(f" AND NOT ({rows})" for rows in before.setdefault(path.table.name, []))
        before[path.table.name].append(path.rows)
        selects.append(
            f"SELECT '{path.table.name}', '{path.anchor}', {path.key}, count(*), CAST(NULL AS timestamptz)"
            f' FROM "{path.table.name}" WHERE {path.rows}{_still(path)}{others} GROUP BY {_name(path.column)}'
        )
    return _union(selects + _staying(declarations, kept))


def _leaving(declarations: Declarations, kept: Collection[str]) -> Iterator[Path]:
    return (path for path in paths(declarations, *_ERASED) if path.table.name not in kept)


def _staying(declarations: Declarations, kept: Collection[str]) -> list[str]:
    return [
        f"SELECT '{path.table.name}', '{path.anchor}', {path.key}, count(*), CAST({_newest(path)} AS timestamptz)"
        f' FROM "{path.table.name}" WHERE {path.rows} GROUP BY {_name(path.column)}'
        for path in paths(declarations)
        if path.store.on_erase.action is Action.RETAIN or path.table.name in kept
    ]


def _newest(path: Path) -> str:
    return f'max("{path.store.on_erase.column}")' if path.store.on_erase.action is Action.RETAIN else "now()"


def pinning(declarations: Declarations) -> bool:
    """Whether values can be corrected, so that pins exist."""
    return any(_correctable(table) for table, _ in declarations.stores())


def _correctable(table: Table) -> bool:
    return any((data := field(column)) is not None and data.correctable for column in table.columns)


def _unpinned(declarations: Declarations) -> str:
    """Pins go with the rows that they belong to, and with the person when the rows have gone before."""
    owners = {path.anchor for path in paths(declarations) if _correctable(path.table)}
    found = [
        f"SELECT '{path.anchor}' AS anchor, {path.key} AS key, \"{path.subject.tokens[0]}\" AS token"
        f' FROM "{path.table.name}" WHERE {path.rows}'
        for path in paths(declarations)
        if isinstance(path.subject, Anchor) and path.anchor in owners
    ]
    found.append(
        "SELECT '', s.request_id, s.token"
        " FROM unnest(CAST(:named AS text[]), CAST(:tokens AS bytea[])) AS s(request_id, token)"
    )
    return (
        f"unpinned AS (DELETE FROM pins USING ({' UNION ALL '.join(found)}) AS o"
        " WHERE pins.token = o.token RETURNING o.anchor, o.key)"
    )


def correct(declarations: Declarations, path: Path, column: Column[Any]) -> TextClause:
    """Sets `column` to :value in the rows of the bound subjects. Rows (token of the owner, old value)."""
    anchored, anchor = declarations.anchor_of(path.anchor)
    token, key = f'"{anchor.tokens[0]}"', _name(path.column)
    if anchored is not path.table:
        token = f'(SELECT a.{token} FROM "{anchored.name}" AS a WHERE a."{anchor.key}" = "{path.table.name}".{key})'
    return text(
        f'UPDATE "{path.table.name}" AS n SET {_name(column)} = :value FROM'
        f' (SELECT {key} AS key, {_name(column)} AS old, {token} AS token FROM "{path.table.name}"'
        f" WHERE {path.rows} FOR UPDATE) AS o WHERE n.{key} = o.key RETURNING o.token, o.old"
    )


def _effect(path: Path) -> str:
    if path.store.on_erase.action is Action.DELETE:
        return f'DELETE FROM "{path.table.name}" WHERE {path.rows}'
    changes = ", ".join(f"{_name(column)} = {_empty(column)}" for column in _personal(path.table))
    return f'UPDATE "{path.table.name}" SET {changes} WHERE {path.rows} AND ({_filled(path.table)})'


def _personal(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if (data := field(column)) is not None and data.category]


def _empty(column: Column[Any]) -> str:
    return "NULL" if column.nullable else f"CAST('' AS {column.type.compile(dialect=DIALECT)})"


def _filled(table: Table) -> str:
    return " OR ".join(f"{_name(column)} IS DISTINCT FROM {_empty(column)}" for column in _personal(table))


def sweep(declarations: Declarations, kept: Collection[str] = ()) -> TextClause | None:
    """Rows (place, anchor, key or needle, count): what erasure left behind, stores `kept` by a hold left out.

    `anchor` is empty for a needle's place, and "pins" with the token in hex for a pin.
    """
    found = list(_leaving(declarations, kept))
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
    if pinning(declarations):
        selects.append(
            "SELECT 'pins', 'pins', encode(token, 'hex'), count(*) FROM pins"
            " WHERE token = ANY(CAST(:tokens AS bytea[])) GROUP BY token"
        )
    return _union(selects)


def _still(path: Path) -> str:
    return f" AND ({_filled(path.table)})" if path.store.on_erase.action is Action.REDACT else ""


def _is_needle(column: Column[Any]) -> bool:
    data = field(column)
    return data is not None and data.needle


@dataclass(frozen=True)
class Shares:
    """What exports read, for many subjects at once: rows (store, keys of the owners, content).

    `owners` names the anchors of the keys by store, in the order of the columns. The content of stores in `lines` is a
    JSON object, made by PostgreSQL; rows of `apart` have their columns instead, because something is to be added.
    """

    owners: Mapping[str, tuple[str, ...]]
    lines: TextClause | None
    apart: list[tuple[Table, TextClause]]


def exports(declarations: Declarations, *, portable: bool = False, apart: Collection[str] = ()) -> Shares:
    """Reads the exported columns of every store that an export includes, in declared order.

    A `portable` one (GDPR 20) has only what the person provided or was observed doing.
    """
    ways: dict[str, list[Path]] = {}
    for path in paths(declarations):
        ways.setdefault(path.table.name, []).append(path)
    chosen = _portable if portable else _exported
    found = {name: columns for name in ways if (columns := chosen(declarations.tables[name]))}
    most = max((len(ways[name]) for name in found), default=0)
    lines = [_lines(ways[name], columns, most) for name, columns in found.items() if name not in apart]
    whole = [
        (declarations.tables[name], text(_rows(ways[name], ", ".join(map(_name, columns)))))
        for name, columns in found.items()
        if name in apart
    ]
    return Shares({name: tuple(path.anchor for path in ways[name]) for name in found}, _union(lines), whole)


def _lines(ways: list[Path], columns: list[Column[Any]], most: int) -> str:
    """As many columns of keys as the store with the most ways has, so that all stores fit one statement."""
    names = ", ".join(f"n.{_name(column)}" for column in columns)
    padding = "".join(", CAST(NULL AS text)" for _ in range(most - len(ways)))
    content = f"CAST(row_to_json((SELECT r FROM (SELECT {names}) AS r)) AS text)"
    return f"({_rows(ways, padding.removeprefix(', ') + (', ' if padding else '') + content)})"


def _rows(ways: list[Path], content: str) -> str:
    table, keys = ways[0].table, ", ".join(path.key for path in ways)
    order = ", ".join(_name(column) for column in table.primary_key.columns) or "1"
    where = " OR ".join(path.rows for path in ways)
    return f"SELECT '{table.name}', {keys}, {content} FROM \"{table.name}\" AS n WHERE {where} ORDER BY {order}"


def _exported(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if (data := field(column)) is not None and data.exported]


def _portable(table: Table) -> list[Column[Any]]:
    """Columns to take along; none from a table whose personal columns all stay: its ids and times say nothing."""
    found = [(column, data) for column in table.columns if (data := field(column)) is not None and data.portable]
    return [column for column, _ in found] if any(data.category for _, data in found) else []


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
