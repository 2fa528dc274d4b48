"""Opens sealed calls for the access package of a person: the index names them, the entries hold what was said."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from igstats_kit.log import get_logger

from igstats_audit.model import Entry, Place

ReadEntries = Callable[[Sequence[Place]], Awaitable[Sequence[Entry]]]
Rows = Sequence[dict[str, Any]]

_log = get_logger()


class RevealedCalls:
    """Adds to rows of `calls` what their entries hold, internet address and program included."""

    def __init__(self, read: ReadEntries) -> None:
        self._read = read

    async def __call__(self, rows: Rows) -> Rows:
        """The rows with their contents; one whose entry was cut a moment ago, or is of another call, stays as it is."""
        found = {entry.index: entry for entry in await self._read([Place(row["index"], row["day"]) for row in rows])}
        return [row | _content(row["call_id"], found.get(row["index"])) for row in rows]


def _content(call_id: str, entry: Entry | None) -> dict[str, Any]:
    if entry is None or not entry.payload:
        return {}
    content: dict[str, Any] = json.loads(entry.payload)
    if content["call_id"] != call_id:
        _log.error("row of a call points to the entry of another", call_id=call_id)
        return {}
    return content
