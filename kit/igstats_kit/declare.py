"""Data declarations: a column, stream or file that can hold personal data says so once, where it is defined.

Everything else is derived from them (`plan`): Describe, erase, export, sweep, restriction, retention and the register
of processing. `Declarations.problems` is empty in every service, by test and at start-up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import Column, LargeBinary, Table, Text

from igstats_kit.errors import SpeakingError

_KEY = "data"


class Action(StrEnum):
    """What erasure does with a store; names of igstats.holder.v1.EraseAction."""

    DELETE = "DELETE"
    REDACT = "REDACT"
    RETAIN = "RETAIN"
    EXPIRE = "EXPIRE"
    NONE = "NONE"


class Provenance(StrEnum):
    """How a value came to us. Fideslang has no such axis, yet portability and the CCPA categories differ by it."""

    PROVIDED = "provided"  # the person, or somebody for them, gave it to us
    OBSERVED = "observed"  # noticed while the person used a service: ours or Instagram
    DERIVED = "derived"  # concluded from other data of the person
    AGGREGATE = "aggregate"  # about many persons at once


def taken_along(provenance: str) -> bool:
    """Whether a person takes values of this provenance along (GDPR 20): what they provided, observation included.

    WP 242, section III.A. Columns without personal meaning, whose provenance is empty, go along with the others.
    """
    return provenance in {"", Provenance.PROVIDED, Provenance.OBSERVED}


@dataclass(frozen=True)
class Field:
    """What a column is: `category` is a fideslang key, empty for no personal meaning.

    `provenance` is None exactly when `category` is empty.
    """

    category: str
    needle: bool
    exported: bool
    provenance: Provenance | None = None
    correctable: bool = False

    @property
    def portable(self) -> bool:
        """Whether a portability export includes it."""
        return self.exported and taken_along(self.provenance or "")


@dataclass(frozen=True)
class Anchor:
    """A table whose rows name a subject: `tokens` are its columns of subject tokens, `key` is the subject's key.

    The first of the tokens names the person for life: corrections are pinned under it, because usernames change hands.
    """

    kind: str
    key: str
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Through:
    """A table whose rows belong to a subject of the anchor table `anchor` by `column`."""

    anchor: str
    column: str


Subject = Anchor | Through


@dataclass(frozen=True)
class Retention:
    """How long data lives: `days` after `column`; None means as long as its subject.

    `own` data is removed by its service itself, because more than the rows depends on it.
    """

    days: int | None
    column: str = ""
    partitioned: bool = False
    own: bool = False

    @property
    def words(self) -> str:
        """The rule as people read it."""
        if self.days is None:
            return "as long as the service is provided"
        return f"{self.days} day" if self.days == 1 else f"{self.days} days"


@dataclass(frozen=True)
class EraseRule:
    """What erasure does; `ground`, `days` and `column` say why and until when data is retained."""

    action: Action
    ground: str = ""
    days: int = 0
    column: str = ""


@dataclass(frozen=True)
class Revealed:
    """A field that an export has beside the columns: it is sealed elsewhere and opened for its person only.

    `type` is one of those of igstats.holder.v1.FieldDescription.
    """

    name: str
    category: str
    type: str = "string"


@dataclass(frozen=True)
class Store:
    """What a table or stream holds, whose, why and for how long."""

    subjects: tuple[Subject, ...]
    purpose: str
    legal_basis: str
    retention: Retention
    on_erase: EraseRule
    reveals: tuple[Revealed, ...] = ()


def personal(
    category: str,
    *,
    needle: bool = False,
    exported: bool = True,
    provenance: Literal["provided", "observed", "derived", "aggregate"] = "observed",
    correctable: bool = False,
) -> dict[str, Any]:
    """A column with personal data.

    `needle`: its values identify a person, so the sweep searches for them. `correctable`: a person can have it set
    right (GDPR 16), and the value is pinned against the next sync.
    """
    return {_KEY: Field(category, needle, exported, Provenance(provenance), correctable)}


def plain(*, exported: bool = False) -> dict[str, Any]:
    """A column without personal meaning of its own: internal ids, times, counters of ours."""
    return {_KEY: Field("", needle=False, exported=exported)}


def anchor(kind: str, *, key: str, tokens: Sequence[str]) -> Anchor:
    """Rows of this table name subjects of `kind` (profile, account, contact, requester)."""
    return Anchor(kind, key, tuple(tokens))


def through(anchor_table: str, column: str) -> Through:
    """Rows of this table belong to the subject whose key in `anchor_table` is in `column`."""
    return Through(anchor_table, column)


def lifetime() -> Retention:
    """Data lives as long as its subject."""
    return Retention(None)


def days(count: int, *, column: str = "created_at", partitioned: bool = False, own: bool = False) -> Retention:
    """Data goes `count` days after `column`; `partitioned` tables drop whole day partitions.

    `own`: the service removes it itself.
    """
    return Retention(count, column, partitioned, own)


def delete() -> EraseRule:
    """Erasure deletes the rows."""
    return EraseRule(Action.DELETE)


def redact() -> EraseRule:
    """Erasure empties the personal columns and keeps the row."""
    return EraseRule(Action.REDACT)


def retain(ground: str, *, days: int, column: str) -> EraseRule:
    """Erasure leaves the rows on a legal ground until `days` after `column`; the receipt says so."""
    return EraseRule(Action.RETAIN, ground, days, column)


def expire() -> EraseRule:
    """The data cannot be addressed by subject, or is needed to finish the request; it leaves by age."""
    return EraseRule(Action.EXPIRE)


def declared(
    *,
    subjects: Sequence[Subject],
    purpose: str,
    legal_basis: str,
    retention: Retention,
    on_erase: EraseRule,
    reveals: Sequence[Revealed] = (),
) -> dict[str, Any]:
    """Declaration of a table with personal data, for its `info`."""
    return {_KEY: Store(tuple(subjects), purpose, legal_basis, retention, on_erase, tuple(reveals))}


def impersonal(purpose: str, *, retention: Retention | None = None) -> dict[str, Any]:
    """Declaration of a table that holds no personal data."""
    return {_KEY: impersonal_store(purpose, retention)}


def impersonal_store(purpose: str, retention: Retention | None = None) -> Store:
    """Declaration of a stream that holds no personal data."""
    return Store((), purpose, "none", retention or lifetime(), EraseRule(Action.NONE))


def field(column: Column[Any]) -> Field | None:
    """The declaration of a column, or None when it lacks one."""
    found = column.info.get(_KEY)
    return found if isinstance(found, Field) else None


def store(table: Table) -> Store | None:
    """The declaration of a table, or None when it lacks one."""
    found = table.info.get(_KEY)
    return found if isinstance(found, Store) else None


class DeclarationError(SpeakingError):
    """A table or column is not declared, or does not fit: a fault of the program, found before it serves."""


class Declarations:
    """All stores of one service. `streams` maps stream names to their declarations."""

    def __init__(self, tables: Sequence[Table], streams: Mapping[str, Store] | None = None) -> None:
        self.tables = {table.name: table for table in tables}
        self.streams = dict(streams or {})

    def stores(self) -> list[tuple[Table, Store]]:
        """Tables with their declarations, by name."""
        pairs = [(self.tables[name], store(self.tables[name])) for name in sorted(self.tables)]
        return [(table, found) for table, found in pairs if found is not None]

    def problems(self) -> list[str]:
        """What is not declared or does not fit, in words that say what to do. Empty when all is well."""
        found: list[str] = []
        for table in self.tables.values():
            found += _column_problems(table)
            declaration = store(table)
            if declaration is None:
                found.append(f"table {table.name} has no data declaration: add info=declared(...) or impersonal(...)")
            else:
                found += self._store_problems(table, declaration)
        return found

    def _store_problems(self, table: Table, declaration: Store) -> list[str]:
        found = [
            f"table {table.name} has personal column {column.name} but names no subject"
            for column in table.columns
            if not declaration.subjects and (data := field(column)) is not None and data.category
        ]
        for subject in declaration.subjects:
            found += self._subject_problems(table, subject)
        for column in (declaration.retention.column, declaration.on_erase.column):
            if column and column not in table.columns:
                found.append(f"table {table.name} names column {column}, which it does not have")
        return found

    def _subject_problems(self, table: Table, subject: Subject) -> list[str]:
        if isinstance(subject, Anchor):
            wanted = (subject.key, *subject.tokens)
            return _index_problems(table, subject.tokens) + _missing(table, wanted)
        target = self.tables.get(subject.anchor)
        anchored = target is not None and (data := store(target)) is not None and _anchor_of(data) is not None
        found = [] if anchored else [f"table {table.name} goes through {subject.anchor}, which is no anchor"]
        return found + _missing(table, (subject.column,)) + _index_problems(table, (subject.column,))

    def anchor_of(self, name: str) -> tuple[Table, Anchor]:
        """The anchor table `name` with its anchor."""
        table = self.tables[name]
        declaration = store(table)
        found = _anchor_of(declaration) if declaration is not None else None
        if found is None:
            raise LookupError(f"table {name} is no anchor")
        return table, found


def _anchor_of(declaration: Store) -> Anchor | None:
    return next((subject for subject in declaration.subjects if isinstance(subject, Anchor)), None)


def _missing(table: Table, names: Sequence[str]) -> list[str]:
    return [f"table {table.name} names column {n}, which it does not have" for n in names if n not in table.columns]


def _column_problems(table: Table) -> list[str]:
    found = []
    for column in table.columns:
        data = field(column)
        if data is None:
            found.append(f"column {table.name}.{column.name} is not declared: add info=personal(...) or plain()")
        elif data.needle:
            found += _index_problems(table, (column.name,))
            if not isinstance(column.type, Text):
                found.append(f"needle column {table.name}.{column.name} must be Text: the sweep compares text")
        if data is not None and data.exported and isinstance(column.type, LargeBinary):
            found.append(f"column {table.name}.{column.name} holds bytes: declare it exported=False")
        if data is not None and data.correctable:
            found += _correction_problems(column, data)
    return found


def _correction_problems(column: Column[Any], data: Field) -> list[str]:
    """A correction is text for one row of a person; names that tokens are made from are their service's affair."""
    name = f"correctable column {column.table.name}.{column.name}"
    found = [] if isinstance(column.type, Text) else [f"{name} must be Text: corrections are text"]
    if data.needle:
        found.append(f"{name} is a needle: tokens are made from it, so its service must change both")
    if not correction_keys(column.table):
        found.append(f"{name} is in a table with many rows a person: nothing says which row is meant")
    return found


def correction_keys(table: Table) -> list[Subject]:
    """Subjects with at most one row each in `table`: corrections are written by their keys."""
    declaration = store(table)
    subjects = declaration.subjects if declaration is not None else ()
    unique = {column.name for column in table.columns if column.unique}
    unique |= {column.name for column in table.primary_key.columns} if len(table.primary_key.columns) == 1 else set()
    if anchors := [subject for subject in subjects if isinstance(subject, Anchor)]:
        return [subject for subject in anchors if subject.key in unique]
    return [subject for subject in subjects if isinstance(subject, Through) and subject.column in unique]


def _index_problems(table: Table, names: Sequence[str]) -> list[str]:
    """Erase and sweep find rows by these columns: each must lead an index or the primary key."""
    leading = {next(iter(index.columns)).name for index in table.indexes}
    leading |= {next(iter(table.primary_key.columns)).name} if len(table.primary_key.columns) else set()
    leading |= {column.name for column in table.columns if column.unique or column.index}
    return [
        f"column {table.name}.{name} leads no index: erase and sweep would read it all"
        for name in names
        if name in table.columns and name not in leading
    ]
