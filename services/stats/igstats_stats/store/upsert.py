"""Set-based upserts: equal content writes nothing, a change raises the revision, an empty answer removes no value.

Rows travel as one array a column, so that a statement stays the same whatever the number of rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert

from igstats_stats.tables import MISSING


def _rows(table: Table, names: Sequence[str]) -> "Select[Any]":
    """The bound arrays as rows of one profile, at revision 1."""
    arrays = [func.unnest(bindparam(name, type_=ARRAY(table.c[name].type))).label(name) for name in names]
    return select(bindparam("profile_id", type_=BigInteger).label("profile_id"), *arrays, literal(1).label("revision"))


def _insert(table: Table, names: Sequence[str]) -> Insert:
    return insert(table).from_select(["profile_id", *names, "revision"], _rows(table, names))


def _differs(old: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[bool]:
    return old.is_distinct_from(new)


def arrays(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as the binds of `wide` or `narrow`."""
    return {name: [row.get(name) for row in rows] for name in names}


def narrow(table: Table, names: Sequence[str], content: Sequence[str]) -> Executable:
    """Upsert of whole rows by primary key: `content` columns decide whether something changed."""
    statement = _insert(table, names)
    new = statement.excluded
    changed = or_(*(_differs(table.c[name], new[name]) for name in content))
    values: dict[str, Any] = {name: new[name] for name in (*content, "observed_at")}
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_=values | {"revision": table.c.revision + 1},
        where=changed,
    ).returning(table.c.profile_id)


def wide(table: Table, metrics: Sequence[str], key: str) -> Executable:
    """Upsert of rows with two columns a metric. A reason never replaces a value; what was not asked stays as it was."""
    statement = _insert(table, wide_names(table, metrics, key))
    values = _merged(table, statement, metrics)
    content = or_(*(_differs(table.c[name], value) for name, value in values.items()))
    changed = content
    updates: dict[str, Any] = {**values, "observed_at": statement.excluded["observed_at"]}
    updates["revision"] = table.c.revision + case((content, 1), else_=0)
    if "settled" in table.c:
        updates["settled"] = or_(table.c.settled, statement.excluded["settled"])
        changed = or_(content, and_(~table.c.settled, statement.excluded["settled"]))
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_=updates, where=changed
    ).returning(table.c.profile_id)


def _extras(table: Table) -> tuple[str, ...]:
    return ("settled", "observed_at") if "settled" in table.c else ("observed_at",)


def _merged(table: Table, statement: Insert, metrics: Sequence[str]) -> dict[str, ColumnElement[Any]]:
    merged: dict[str, ColumnElement[Any]] = {}
    for metric in metrics:
        old, new = table.c, statement.excluded
        value = func.coalesce(new[metric], old[metric])
        reason = func.coalesce(new[metric + MISSING], old[metric + MISSING])
        merged[metric] = value
        merged[metric + MISSING] = case((value.is_not(None), null()), else_=reason)
    return merged


def wide_names(table: Table, metrics: Sequence[str], key: str) -> list[str]:
    """Columns that the binds of `wide` need."""
    return [key, *(column for metric in metrics for column in (metric, metric + MISSING)), *_extras(table)]
