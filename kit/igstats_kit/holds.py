"""Holds: field groups that stay although their subject is erased (GDPR 17(3), CCPA 1798.105(d)).

A hold names stores, never a whole person: what is not named goes. Rows that a held row belongs to stay with it, because
without them the database would lose it, and nothing could find it when the hold is released.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from igstats.holder.v1.task_pb2 import Hold as HoldMessage

from igstats_kit.declare import Declarations, Through, store


@dataclass(frozen=True)
class Hold:
    """One store that stays, why, and until when unless it is reviewed."""

    store: str
    ground: str
    until: datetime


def holds_of(messages: Iterable[HoldMessage], holder: str) -> tuple[Hold, ...]:
    """The holds at `holder`, one a store."""
    return tuple(
        Hold(name, message.ground, message.until_time.ToDatetime(UTC))
        for message in messages
        if message.holder == holder
        for name in message.stores
    )


def held(declarations: Declarations, holds: Iterable[Hold]) -> Mapping[str, Hold]:
    """Every store that stays by `holds`, with the one that keeps it longest."""
    found: dict[str, Hold] = {}
    for hold in sorted(holds, key=lambda hold: hold.until):
        for name in _with_owners(declarations, hold.store):
            found[name] = Hold(name, hold.ground, hold.until)
    return found


def unknown(declarations: Declarations, holds: Iterable[Hold]) -> list[str]:
    """Stores that holds name and the service does not have: what they should protect would be destroyed."""
    return sorted({hold.store for hold in holds} - set(declarations.tables))


def _with_owners(declarations: Declarations, name: str) -> set[str]:
    """`name`, the anchors of its rows and every table that their foreign keys point to."""
    found, waiting = set[str](), [name]
    while waiting:
        if (current := waiting.pop()) in found or (table := declarations.tables.get(current)) is None:
            continue
        found.add(current)
        declaration = store(table)
        subjects = declaration.subjects if declaration is not None else ()
        waiting += [subject.anchor for subject in subjects if isinstance(subject, Through)]
        waiting += [key.column.table.name for key in table.foreign_keys]
    return found
