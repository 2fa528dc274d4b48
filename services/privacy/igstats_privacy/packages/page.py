"""The page of a package that a person reads: what this is, what is held and why, who gets it, which rights there are.

One file without script, which opens from a disk and on a phone. Every value is escaped by the templates.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from igstats_privacy.categories import Category
from igstats_privacy.model import Right
from igstats_privacy.packages.dataset import Dataset
from igstats_privacy.processors import PROCESSORS

ROWS_SHOWN = 50
_pages = Environment(
    loader=PackageLoader("igstats_privacy", "packages/pages"), autoescape=True, undefined=StrictUndefined
)


@dataclass(frozen=True)
class Cover:
    """What the page says before the data."""

    right: Right
    reference: str
    received_at: datetime
    made_at: datetime
    expires_at: datetime
    categories: Sequence[Category]
    contents: Sequence[tuple[Dataset, int]]


def opening(cover: Cover) -> bytes:
    """The page up to the data."""
    return _rendered("opening", cover=cover, portable=cover.right is Right.PORTABILITY)


def section(dataset: Dataset, count: int, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One dataset: `rows` are the first of `count`, at most ROWS_SHOWN. Columns that are empty in all are left out."""
    names = [name for name in _names(dataset, rows) if any(row.get(name) is not None for row in rows)]
    cells = [[_shown(row.get(name)) for name in names] for row in rows]
    return _rendered("dataset", dataset=dataset, count=count, names=names, rows=cells)


def closing(cover: Cover) -> bytes:
    """The page after the data."""
    return _rendered("closing", cover=cover, portable=cover.right is Right.PORTABILITY, processors=PROCESSORS)


def _names(dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    declared = [field.name for field in dataset.fields]
    return declared or dict.fromkeys(name for row in rows for name in row)


def _shown(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rendered(part: str, **values: object) -> bytes:
    return _pages.get_template(f"{part}.html").render(values).encode()
