"""The logs themselves: each newest checkpoint extends the one of the last audit, and the monitor has found nothing."""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from igstats_kit.clock import Clock

from igstats_audit.checks.history import Listing, Remembered, Signed
from igstats_audit.checks.report import Finding, Look, Looked, NotPossibleError, Severity, evidence
from igstats_audit.errors import LogForkedError, TileMissingError
from igstats_audit.model import Head

LATEST_LOOK = timedelta(hours=26)  # the monitor looks at all of a log once a day
MARK = "security-audit.json"
KILLED = 1  # the first audit may have been killed between its entry and the list
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Growth:
    """A log at the last audit and now, with the proof that one extends the other (RFC 9162 section 2.1.4).

    `now` is None when the head of the log is not one that its own tree gives.
    """

    log: str
    before: Signed | None
    now: Signed | None
    path: Sequence[bytes] = ()

    @property
    def holds(self) -> bool:
        """Whether the log extends what it was; one that was never seen has nothing to extend."""
        if self.now is None:
            return False
        return self.before is None or extends(self.before, self.now, self.path)


@dataclass(frozen=True, slots=True)
class History:
    """How the logs have grown since the last audit, and what that has left inside and outside of the database."""

    grown: Sequence[Growth]
    listing: Listing
    remembered: Remembered | None


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


class AuditList(Protocol):
    """The list of audits, in the database."""

    async def listing(self, audit_id: str) -> Listing:
        """What it says, and whether it names this audit."""
        ...


class Memory(Protocol):
    """What the last audit left outside of the database."""

    async def read(self) -> Remembered | None:
        """It, None when there is nothing; raises NotPossibleError when it cannot be read."""
        ...

    async def write(self, remembered: Remembered) -> None:
        """Replaces it."""
        ...


class LogStates:
    """Reads how the logs have grown since the last audit, by what that has left in both places.

    `seen` is what the next audit compares with: a fork never becomes its base. It is empty after a look that failed.
    """

    def __init__(self, logs: Mapping[str, TreeProofs], audits: AuditList, memory: Memory) -> None:
        self.seen: Mapping[str, Signed] = {}
        self._logs = logs
        self._audits = audits
        self._memory = memory

    async def read(self) -> History:
        """Each log now and at the last audit."""
        self.seen = {}
        remembered = await self._memory.read()
        listing = await self._audits.listing(remembered.audit_id if remembered else "")
        kept = remembered.logs if remembered else {}
        grown = [
            await _growth(log, proofs, before)
            for log, proofs in self._logs.items()
            for before in dict.fromkeys([kept.get(log, listing.logs.get(log)), listing.logs.get(log, kept.get(log))])
        ]
        self.seen = {**listing.logs, **kept, **_sound(grown)}
        return History(grown, listing, remembered)

    async def keep(self, audit_id: str) -> None:
        """Leaves outside of the database what this audit saw; what an audit left that could not look is kept."""
        if self.seen:
            await self._memory.write(Remembered(audit_id, self.seen))


def _sound(grown: Sequence[Growth]) -> Mapping[str, Signed]:
    """The logs that extend all that they were."""
    forked = {one.log for one in grown if not one.holds}
    return {one.log: one.now for one in grown if one.now is not None and one.log not in forked}


async def _growth(log: str, proofs: TreeProofs, before: Signed | None) -> Growth:
    try:
        tree = (await proofs.head()).tree
    except LogForkedError:
        return Growth(log, before, None)
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


ReadHistory = Callable[[], Awaitable[History]]
ReadWatched = Callable[[], Awaitable[Watched]]


def consistency(grown: Sequence[Growth]) -> Iterator[Finding]:
    """Logs whose newest checkpoint does not extend that of the last audit."""
    for one in grown:
        if one.holds:
            continue
        what = (
            "does not extend the checkpoint of the last audit" if one.now else "has a head that its tree does not give"
        )
        text = f"{what}: stop audit, keep its database, compare with copies"
        seen = evidence(before=_words(one.before), now=_words(one.now))
        yield Finding(Severity.HIGH, f"{one.log} log", text, seen)


def lost(seen: History) -> Iterator[Finding]:
    """Audits that were run and are not in the list any more: it was emptied, or the database was put back."""
    if seen.remembered is not None and not seen.listing.named:
        text = "lacks an audit that has left its mark outside of the database: find out who has put that back"
        yield Finding(Severity.HIGH, "list of audits", text, evidence(audit=seen.remembered.audit_id))
    elif not seen.listing.audits and seen.listing.unlisted > KILLED:
        text = "is empty although the evidence log names audits: find out who has emptied it"
        yield Finding(Severity.HIGH, "list of audits", text, evidence(audits=seen.listing.unlisted))


def unproved(seen: History) -> Iterator[str]:
    """What cannot be compared, because nothing is left to compare it with."""
    if seen.listing.audits and seen.remembered is None:
        yield f"what an audit has left outside of the database: {MARK} is not in KEY_DIRECTORY; look who removed it"
    for one in seen.grown:
        if one.before is None and one.now and one.now.size:
            yield f"the {one.log} log up to size {one.now.size}: no audit has left what to compare it with"


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


def looks(read: ReadHistory, monitor: ReadWatched | None, clock: Clock) -> Mapping[str, Look]:
    """The checks of this family by name."""

    async def of_growth() -> Looked:
        seen = await read()
        texts = dict.fromkeys(f"{one.log}: {_words(one.now)}{_since(one.before)}" for one in seen.grown)
        return Looked("; ".join(texts), [*consistency(seen.grown), *lost(seen)], list(unproved(seen)))

    async def of_findings() -> Looked:
        if monitor is None:
            raise NotPossibleError("there is no monitor to ask")
        watched = await monitor()
        looked_at = watched.looked_at
        silent = looked_at is None or clock.now() - looked_at > LATEST_LOOK
        since = f"what came after {looked_at:%Y-%m-%dT%H:%MZ}" if looked_at is not None else "the logs"
        words = "the monitor has not looked at all of it; start it, or see in its log why not"
        blind = [f"{since}: {words}"] if silent else []
        return Looked("open findings of the monitor", list(open_findings(watched.findings)), blind)

    return {"log.consistency": of_growth, "log.findings": of_findings}


def _words(seen: Signed | None) -> str:
    return seen.words if seen is not None else "none"


def _since(before: Signed | None) -> str:
    return f" after {before.words}" if before is not None else ", first audit"
