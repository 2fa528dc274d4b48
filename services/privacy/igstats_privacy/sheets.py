"""CSV (RFC 4180) of rows: text always quoted, so that a missing value and an empty one differ. Pure.

A spreadsheet runs text that begins like a formula. Such text gets an apostrophe in front, and so does text that begins
with an apostrophe: whoever removes one leading apostrophe of a quoted cell has the value again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# OWASP, CSV injection; with the full-width forms that spreadsheets in East Asia take for the same.
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")  # noqa: RUF001 - they are meant
_END = "\r\n"


def header(names: Iterable[str]) -> bytes:
    """The first line."""
    return _line(_quoted(name) for name in names)


def row(names: Sequence[str], values: Mapping[str, Any]) -> bytes:
    """One row; a value that is not there is an empty cell without quotes."""
    return _line(_cell(values.get(name)) for name in names)


def _line(cells: Iterable[str]) -> bytes:
    return (",".join(cells) + _END).encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if isinstance(value, bool | int | float) else _quoted(text)


def _quoted(text: str) -> str:
    guarded = f"'{text}" if text.startswith(_RISKY) else text
    return '"' + guarded.replace('"', '""') + '"'
