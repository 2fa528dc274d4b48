"""Files of the logs, as C2SP tlog-tiles names them; those that can never change are remembered for a while."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason

from igstats_gateway.model import LogFile

LOGS = ("evidence", "access")
CHECKPOINT = "checkpoint"
KEYS = "keys"
TEXTS = (CHECKPOINT, KEYS)
REMEMBER = timedelta(hours=1)  # what retention has cut must not live on here
_MOST_BYTES = 16 * 1024 * 1024
_PATH = re.compile(
    rf"{CHECKPOINT}|{KEYS}|tile/(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{{3}}/){{0,5}}[0-9]{{3}}"
    r"(?P<partial>\.p/(?:[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
)

FetchFile = Callable[[str, str, str], Awaitable[LogFile]]
"""Reads a file of a log: its name, the path, the id of the call that asks."""


@dataclass(frozen=True)
class _Memory:
    read_at: datetime
    file: LogFile


class LogFiles:
    """Reads files of the logs."""

    def __init__(self, fetch: FetchFile, clock: Clock, *, most_bytes: int = _MOST_BYTES) -> None:
        self._fetch = fetch
        self._clock = clock
        self._most_bytes = most_bytes
        self._memory: dict[tuple[str, str], _Memory] = {}
        self._bytes = 0

    async def read(self, log: str, path: str, call_id: str) -> LogFile:
        """A file. Only a full tile is immutable: a partial one goes when its full one is there.

        Raises:
            DomainError: LOG_FILE_NOT_FOUND; what audit cannot have is not asked for.
        """
        match = _PATH.fullmatch(path)
        if match is None or log not in LOGS:
            raise DomainError(Reason.LOG_FILE_NOT_FOUND)
        if (known := self._known(log, path)) is not None:
            return known
        found = await self._fetch(log, path, call_id)
        if path in TEXTS or match["partial"] or not found.immutable:
            return LogFile(found.content, immutable=False)
        self._remember(log, path, found)
        return found

    def _known(self, log: str, path: str) -> LogFile | None:
        memory = self._memory.pop((log, path), None)
        if memory is None:
            return None
        if self._clock.now() - memory.read_at >= REMEMBER:
            self._bytes -= len(memory.file.content)
            return None
        self._memory[log, path] = memory  # used last, forgotten last
        return memory.file

    def _remember(self, log: str, path: str, file: LogFile) -> None:
        before = self._memory.pop((log, path), None)
        self._bytes += len(file.content) - (len(before.file.content) if before else 0)
        self._memory[log, path] = _Memory(self._clock.now(), file)
        while self._bytes > self._most_bytes:
            oldest = self._memory.pop(next(iter(self._memory)))
            self._bytes -= len(oldest.file.content)
