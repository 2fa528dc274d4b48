"""Tells watchers in this process that a request has changed, right after the commit."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Changes:
    """Wakes those who watch a request. Other replicas' changes are found by looking again now and then."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = {}

    def publish(self, request_ids: Iterable[str]) -> None:
        """Wakes the watchers of these requests."""
        for request_id in request_ids:
            for awake in self._watchers.get(request_id, ()):
                awake.set()

    @contextmanager
    def watch(self, request_id: str) -> Iterator[asyncio.Event]:
        """An event that every change of the request sets."""
        awake = asyncio.Event()
        watchers = self._watchers.setdefault(request_id, set())
        watchers.add(awake)
        try:
            yield awake
        finally:
            watchers.discard(awake)
            if not watchers:
                self._watchers.pop(request_id, None)
