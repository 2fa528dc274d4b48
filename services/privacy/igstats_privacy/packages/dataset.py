"""What is known about the rows of one store, from its holder's own description. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TYPES: Mapping[str, Mapping[str, str]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "array": {"type": "array"},
    "object": {"type": "object"},
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Field:
    """One field of the rows, as declared."""

    name: str
    type: str
    nullable: bool
    category: str = ""
    provenance: str = ""


@dataclass(frozen=True)
class Dataset:
    """The rows of one store of one holder; no fields where a holder does not describe the store."""

    holder: str
    store: str
    fields: tuple[Field, ...] = ()
    purpose: str = ""
    legal_basis: str = ""
    retention: str = ""

    @property
    def title(self) -> str:
        """The store's name as people read it."""
        return self.store.replace("_", " ")

    @property
    def path(self) -> str:
        """Where its files lie, without their endings."""
        return f"{self.holder}/{self.store}"


def schema(dataset: Dataset) -> dict[str, Any]:
    """JSON Schema (2020-12) of one line of the dataset, derived from its declaration."""
    return {
        "$schema": _DIALECT,
        "$id": f"urn:igstats:export:v2:{dataset.holder}:{dataset.store}",
        "title": f"{dataset.title} ({dataset.holder})",
        "description": dataset.purpose,
        "type": "object",
        "properties": {field.name: _property(field) for field in dataset.fields},
        "required": [field.name for field in dataset.fields],
        "additionalProperties": not dataset.fields,
    }


def _property(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = dict(_TYPES.get(field.type, {}))
    if field.nullable and "type" in found:
        found["type"] = [found["type"], "null"]
    if field.category:
        found |= {"x-category": field.category, "x-provenance": field.provenance}
    return found
