"""The API log as the checks see it: counts from its index, the rest from the opened entries."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from igstats_audit.checks.calls import AnsweredCall, Hour
from igstats_audit.model import Entry, Place

BATCH = 250  # nothing else runs while one is opened


class CallIndex(Protocol):
    """The search index of the API log."""

    async def hours(self, since: datetime, status: int) -> Sequence[Hour]:
        """Calls by hour since a time; refused are those that ended with the status."""
        ...

    async def places(self, since: datetime, below: int | None, limit: int) -> Sequence[Place]:
        """Places of calls since a time, the newest first, below an index."""
        ...


ReadEntries = Callable[[Sequence[Place]], Awaitable[Sequence[Entry]]]


class LoggedCalls:
    """Reads facts of calls."""

    def __init__(self, index: CallIndex, entries: ReadEntries) -> None:
        self._index = index
        self._entries = entries

    async def hours(self, since: datetime, status: int) -> Sequence[Hour]:
        """Calls by hour since a time; refused are those that ended with the status."""
        return await self._index.hours(since, status)

    async def answered(self, since: datetime) -> AsyncIterator[Sequence[AnsweredCall | None]]:
        """Calls since a time, the newest first, in batches; None for one whose entry does not open.

        Erased ones are not among them: their rows of the index are gone, too.
        """
        below: int | None = None
        while places := await self._index.places(since, below, BATCH):
            found = {entry.index: entry for entry in await self._entries(places)}
            yield [_answered(found.get(place.index)) for place in places]
            below = min(place.index for place in places)


def _answered(entry: Entry | None) -> AnsweredCall | None:
    if entry is None or not entry.payload:
        return None
    try:
        said = json.loads(entry.payload)
        return AnsweredCall(said["method"], int(said["status"]), bool(said["signed"]), entry.occurred_at)
    except (ValueError, KeyError, TypeError):
        return None
