"""What a holder says about itself, derived from its declarations."""

import hashlib
from typing import Any

from igstats.holder.v1.description_pb2 import (
    EraseAction,
    FieldDescription,
    HolderDescription,
    StoreDescription,
    StoreKind,
    SubjectKind,
)
from sqlalchemy import ARRAY, JSON, Boolean, Column, Date, DateTime, Integer, Numeric, Table

from igstats_kit.declare import Anchor, Declarations, Revealed, Store, field

_TYPES = (
    (Integer, "integer"),
    (Numeric, "number"),
    (Boolean, "boolean"),
    (DateTime, "date-time"),
    (Date, "date"),
    (ARRAY, "array"),
    (JSON, "object"),
)


def describe(holder: str, declarations: Declarations) -> HolderDescription:
    """The holder's stores in alphabetical order: the source of the Art. 30 register and of the CCPA categories."""
    stores = [_table(declarations, table, store) for table, store in declarations.stores()]
    stores += [_store(name, StoreKind.STORE_KIND_STREAM, store) for name, store in declarations.streams.items()]
    return HolderDescription(holder=holder, stores=sorted(stores, key=lambda store: store.store))


def digest(description: HolderDescription) -> bytes:
    """SHA-256 of the deterministic serialisation: names the stores that a receipt covers."""
    return hashlib.sha256(description.SerializeToString(deterministic=True)).digest()


def _table(declarations: Declarations, table: Table, store: Store) -> StoreDescription:
    described = _store(table.name, StoreKind.STORE_KIND_TABLE, store)
    described.subject_kind = _kind(declarations, store)
    for column in table.columns:
        data = field(column)
        if data is not None:
            described.fields.append(
                FieldDescription(
                    name=column.name,
                    category=data.category,
                    exported=data.exported,
                    needle=data.needle,
                    provenance=data.provenance or "",
                    correctable=data.correctable,
                    type=_type(column),
                    nullable=bool(column.nullable),
                )
            )
    described.fields.extend(map(_revealed, store.reveals))
    return described


def _type(column: Column[Any]) -> str:
    """What the column's values look like in an export."""
    return next((name for kind, name in _TYPES if isinstance(column.type, kind)), "string")


def _revealed(field: Revealed) -> FieldDescription:
    described = FieldDescription(name=field.name, category=field.category, exported=True, provenance="observed")
    described.type, described.nullable = field.type, True
    return described


def _store(name: str, kind: StoreKind.ValueType, store: Store) -> StoreDescription:
    return StoreDescription(
        store=name,
        kind=kind,
        subject_kind=SubjectKind.SUBJECT_KIND_NONE,
        purpose=store.purpose,
        legal_basis=store.legal_basis,
        retention=store.retention.words,
        retention_days=store.retention.days or 0,
        on_erase=EraseAction.Value(f"ERASE_ACTION_{store.on_erase.action}"),
        retain_ground=store.on_erase.ground,
    )


def _kind(declarations: Declarations, store: Store) -> SubjectKind.ValueType:
    for subject in store.subjects:
        found = subject if isinstance(subject, Anchor) else declarations.anchor_of(subject.anchor)[1]
        return SubjectKind.Value(f"SUBJECT_KIND_{found.kind.upper()}")
    return SubjectKind.SUBJECT_KIND_NONE
