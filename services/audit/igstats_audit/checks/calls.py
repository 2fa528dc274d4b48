"""The API log: calls that should have been signed and were not, and sudden failures to prove who one is."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from igstats_kit.clock import Clock

from igstats_audit.checks.api_keys import ReadKeys
from igstats_audit.checks.report import Finding, Look, Looked, Severity, evidence

WINDOW = timedelta(hours=24)
USUAL_WINDOW = timedelta(days=7)
HOUR = timedelta(hours=1)
UNAUTHENTICATED = 16  # number of the gRPC status code
FEWEST, TIMES = 50, 5
MANY, MANY_TIMES = 500, 20
MOST_CALLS = 200_000  # each is opened, for some 80 µs of CPU in the process that serves the log
_UNCHECKED = "was answered without a signature although it needs one: look at the gateway's signature check"
_UNASKED = (
    "writes, and was answered without a signature: nothing asks for one, so whoever has a key of the scope may call it"
)
BUSY_HOURS, SHORTEST_SILENCE = 24, timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """What the payload of a call says, as far as a check needs it."""

    method: str
    status: int
    signed: bool
    called_at: datetime


@dataclass(frozen=True, slots=True)
class Hour:
    """How many calls came in an hour, and how many could not prove who they are."""

    begins: datetime
    calls: int
    refused: int


class CallFacts(Protocol):
    """The API log as the checks see it."""

    async def hours(self, since: datetime, status: int) -> Sequence[Hour]:
        """Calls by hour since a time; refused are those that ended with the status."""
        ...

    def answered(self, since: datetime) -> AsyncIterator[Sequence[AnsweredCall | None]]:
        """Calls since a time, the newest first, in batches; None for one whose entry does not open."""
        ...


def unsigned(calls: Sequence[AnsweredCall], signed_methods: Mapping[str, bool]) -> Iterator[Finding]:
    """Methods that need a signature and answered without one, whether the gateway is told to ask for it or not."""
    for method, asked in sorted(signed_methods.items()):
        wrong = [one for one in calls if one.method == method and not one.status and not one.signed]
        if wrong:
            times = sorted(one.called_at for one in wrong)
            seen = evidence(calls=len(wrong), first=times[0], last=times[-1], asked="yes" if asked else "no")
            yield Finding(Severity.HIGH if asked else Severity.LOW, method, _UNCHECKED if asked else _UNASKED, seen)


def spikes(hours: Sequence[Hour], now: datetime) -> Iterator[Finding]:
    """Hours of the last day with many more refused calls than is usual."""
    before = [hour.refused for hour in hours if hour.begins < now - WINDOW]
    usual = sum(before) / (USUAL_WINDOW / HOUR)
    for hour in hours:
        times = hour.refused / max(usual, 1.0)
        if hour.begins < now - WINDOW or hour.refused < FEWEST or times < TIMES:
            continue
        severity = Severity.HIGH if hour.refused >= MANY and times >= MANY_TIMES else Severity.MEDIUM
        text = "many calls could not prove who they are: search the API log by status and time, block or call back"
        seen = evidence(refused=hour.refused, calls=hour.calls, usual=f"{usual:.1f}")
        yield Finding(severity, f"hour {hour.begins:%Y-%m-%dT%HZ}", text, seen)


def patience(hours: Sequence[Hour]) -> timedelta:
    """How long no call may come: a day; where calls come all day, twice as long as the longest pause of these hours."""
    if len(hours) < BUSY_HOURS:
        return WINDOW
    longest = max(after.begins - before.begins for before, after in pairwise(hours))
    return min(WINDOW, max(2 * longest, SHORTEST_SILENCE))


def unheard(hours: Sequence[Hour], used_on: datetime | None, now: datetime) -> Iterator[str]:
    """Signs that calls come and do not reach the API log. `used_on`: the newest day on which a key was let in."""
    last = hours[-1].begins if hours else None
    if last is not None and now - last > patience(hours):
        yield f"what came after {last:%Y-%m-%dT%HZ}: no call is in the log since; see that audit takes them in"
    elif used_on is not None and (last is None or last < used_on):
        yield f"what came since {used_on:%Y-%m-%d}: a key was used that day, and no call of it is in the log"


def looks(facts: CallFacts, signed_methods: Mapping[str, bool], read_keys: ReadKeys, clock: Clock) -> dict[str, Look]:
    """The checks of this family by name. Keys tell whether calls came, when the log has none of a day."""

    async def used_on(now: datetime) -> datetime | None:
        """The newest day that is over, of those that are looked at, on which a key was used."""
        days = [key.last_used_at for key in await read_keys() if key.last_used_at is not None]
        return max((day for day in days if now - WINDOW - USUAL_WINDOW <= day <= now - WINDOW), default=None)

    async def heard() -> tuple[Sequence[Hour], list[str]]:
        """The calls by hour, and why they may not be all."""
        now = clock.now()
        hours = await facts.hours(now - WINDOW - USUAL_WINDOW, UNAUTHENTICATED)
        quiet = not hours or hours[-1].begins < now - WINDOW
        return hours, list(unheard(hours, await used_on(now) if quiet else None, now))

    async def of_signatures() -> Looked:
        _, blind = await heard()
        seen, closed, wanted = 0, 0, []
        async for batch in facts.answered(clock.now() - WINDOW):
            seen += len(batch)
            closed += batch.count(None)
            wanted += [one for one in batch if one is not None and one.method in signed_methods]
            if seen >= MOST_CALLS:
                blind.append(f"calls older than the newest {seen}")
                break
        if closed:
            blind.append(f"{closed} calls whose entries do not open: the findings of the monitor name them")
        return Looked(f"{seen} calls of 24 hours", list(unsigned(wanted, signed_methods)), blind)

    async def of_authentication() -> Looked:
        now, (hours, blind) = clock.now(), await heard()
        recent = sum(hour.calls for hour in hours if hour.begins >= now - WINDOW)
        return Looked(f"{recent} calls of 24 hours against the 7 days before", list(spikes(hours, now)), blind)

    return {"calls.unsigned": of_signatures, "calls.authentication": of_authentication}
