"""Datasets and categories from the descriptions that holders announce: proto in, values out."""

from collections.abc import Iterable, Iterator

from igstats.holder.v1.description_pb2 import FieldDescription, HolderDescription, StoreDescription
from igstats_kit.declare import taken_along

from igstats_privacy import messages
from igstats_privacy.categories import Held
from igstats_privacy.model import Right
from igstats_privacy.packages.dataset import Dataset, Field


def dataset(description: bytes, holder: str, store: str, right: Right) -> Dataset:
    """The dataset that a holder sends of one of its stores; without fields when it does not describe the store."""
    for one in HolderDescription.FromString(description).stores:
        if one.store == store:
            return _dataset(holder, one, right)
    return Dataset(holder, store)


def _dataset(holder: str, store: StoreDescription, right: Right) -> Dataset:
    fields = tuple(
        Field(one.name, one.type, one.nullable, one.category, one.provenance)
        for one in store.fields
        if one.exported and _goes_along(one, right)
    )
    return Dataset(holder, store.store, fields, store.purpose, store.legal_basis, store.retention)


def _goes_along(field: FieldDescription, right: Right) -> bool:
    return right is not Right.PORTABILITY or taken_along(field.provenance)


def held(descriptions: Iterable[bytes]) -> Iterator[Held]:
    """Every field with personal data that the holders declare."""
    for description in descriptions:
        yield from messages.held_fields(HolderDescription.FromString(description))
