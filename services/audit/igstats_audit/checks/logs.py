"""The logs themselves: each newest checkpoint extends the one of the last audit, and the monitor has found nothing."""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from igstats_kit.clock import Clock

from igstats_audit.checks.history import Signed
from igstats_audit.checks.report import Finding, Look, Looked, NotPossibleError, Severity, evidence
from igstats_audit.errors import TileMissingError
from igstats_audit.model import Head

LATEST_LOOK = timedelta(hours=26)  # the monitor looks at all of a log once a day
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Growth:
    """A log at the last audit and now, with the proof that one extends the other (RFC 9162 section 2.1.4)."""

    log: str
    before: Signed | None
    now: Signed
    path: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """What the monitor found wrong with a log and still sees."""

    kind: str
    place: str
    log: str


class TreeProofs(Protocol):
    """One log towards those who check it."""

    async def head(self) -> Head:
        """The newest state."""
        ...

    async def consistency(self, old: int, size: int) -> tuple[Sequence[bytes], int]:
        """Path between two sizes, and the newer one."""
        ...


class LogStates:
    """Reads how the logs have grown. `seen` is what the next audit compares with: a fork never becomes its base."""

    def __init__(self, logs: Mapping[str, TreeProofs], before: Callable[[], Awaitable[Mapping[str, Signed]]]) -> None:
        self.seen: Mapping[str, Signed] = {}
        self._logs = logs
        self._before = before

    async def read(self) -> Sequence[Growth]:
        """Each log now and at the last audit."""
        before = await self._before()
        self.seen = before
        grown = [await _growth(log, proofs, before.get(log)) for log, proofs in self._logs.items()]
        self.seen = {**before, **{one.log: one.now for one in grown if not any(consistency([one]))}}
        return grown


async def _growth(log: str, proofs: TreeProofs, before: Signed | None) -> Growth:
    tree = (await proofs.head()).tree
    now = Signed(tree.size, tree.root)
    if before is None or not 0 < before.size < now.size:
        return Growth(log, before, now)
    try:
        path, _ = await proofs.consistency(before.size, now.size)
    except TileMissingError:  # what is lost proves nothing: then the log does not extend what it was
        return Growth(log, before, now)
    return Growth(log, before, now, path)


@dataclass(frozen=True, slots=True)
class Watched:
    """What the monitor tells: when it last looked at every log, and what it still saw then."""

    looked_at: datetime | None
    findings: Sequence[OpenFinding]


ReadGrowth = Callable[[], Awaitable[Sequence[Growth]]]
ReadWatched = Callable[[], Awaitable[Watched]]


def consistency(grown: Sequence[Growth]) -> Iterator[Finding]:
    """Logs whose newest checkpoint does not extend that of the last audit."""
    for one in grown:
        if one.before is None or extends(one.before, one.now, one.path):
            continue
        text = "does not extend the checkpoint of the last audit: stop audit, keep its database, compare with copies"
        seen = evidence(before=one.before.words, now=one.now.words)
        yield Finding(Severity.HIGH, f"{one.log} log", text, seen)


def open_findings(found: Sequence[OpenFinding]) -> Iterator[Finding]:
    """What the monitor still sees."""
    for one in found[:_MOST_SHOWN]:
        text = "found by the monitor and still so: ListFindings tells what was expected and what was there"
        yield Finding(Severity.HIGH, f"{one.log} log, {one.place}", text, evidence(kind=one.kind))
    if len(found) > _MOST_SHOWN:
        text = "the monitor sees more than this report lists: ListFindings has them all"
        yield Finding(Severity.HIGH, "monitor", text, evidence(open=len(found)))


def extends(before: Signed, now: Signed, path: Sequence[bytes]) -> bool:
    """Whether the newer tree begins with the older one, by the path between them."""
    if before.size == 0:
        return True
    if before.size >= now.size:
        return before == now and not path
    parts = list(path)
    if before.size & (before.size - 1) == 0:
        parts.insert(0, before.root)
    if not parts:
        return False
    place, last = before.size - 1, now.size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    return _climb(parts, place, last) == (before.root, now.root)


def _climb(parts: Sequence[bytes], place: int, last: int) -> tuple[bytes, bytes] | None:
    """The roots that a path leads to; None when it has too many or too few hashes."""
    older = newer = parts[0]
    for sibling in parts[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            older, newer = _node(sibling, older), _node(sibling, newer)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            newer = _node(newer, sibling)
        place, last = place >> 1, last >> 1
    return None if last else (older, newer)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def looks(read: ReadGrowth, monitor: ReadWatched | None, clock: Clock) -> Mapping[str, Look]:
    """The checks of this family by name."""

    async def of_growth() -> Looked:
        grown = await read()
        texts = [f"{one.log}: {one.now.words}{_since(one.before)}" for one in grown]
        return Looked("; ".join(texts), list(consistency(grown)))

    async def of_findings() -> Looked:
        if monitor is None:
            raise NotPossibleError("there is no monitor to ask")
        watched = await monitor()
        looked_at = watched.looked_at
        silent = looked_at is None or clock.now() - looked_at > LATEST_LOOK
        since = f"what came after {looked_at:%Y-%m-%dT%H:%MZ}" if looked_at is not None else "the logs"
        blind = [f"{since}: the monitor has not looked; start it"] if silent else []
        return Looked("open findings of the monitor", list(open_findings(watched.findings)), blind)

    return {"log.consistency": of_growth, "log.findings": of_findings}


def _since(before: Signed | None) -> str:
    return f" after {before.words}" if before is not None else ", first audit"
