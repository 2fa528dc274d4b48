"""Rules for producers' numbers, pure: each from 1 without gaps, each once.

Entries travel out of order, so a number that is left out is wrong only when it has been missing for a while.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from igstats_audit.model import Log
from igstats_audit.monitor.model import FindingKind, Observation

_MOST_REPEATS = 1_000  # of one producer; further ones are told when they come


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers from first to last that are missing since somebody first saw a higher one."""

    first: int
    last: int
    since: datetime

    @property
    def words(self) -> str:
        """The numbers in words."""
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def without(self, number: int) -> list["Gap"]:
        """What is left of it when a number has come."""
        parts = [replace(self, last=number - 1), replace(self, first=number + 1)]
        return [part for part in parts if part.first <= part.last]


@dataclass(slots=True)
class Numbers:
    """The numbers of one producer in one log: the highest, the gaps below it, and those that came again.

    Those up to `start` are unknown. Of a number that came again the entry is kept that had it last.
    """

    start: int = 0
    highest: int = 0
    gaps: list[Gap] = field(default_factory=list)
    repeats: dict[int, int] = field(default_factory=dict)

    def take(self, number: int, now: datetime) -> bool:
        """Takes a number; False when it was there before."""
        if number > self.highest:
            if number > self.highest + 1:
                self.gaps.append(Gap(self.highest + 1, number - 1, now))
            self.highest = number
            return True
        for at, gap in enumerate(self.gaps):
            if gap.first <= number <= gap.last:
                self.gaps[at : at + 1] = gap.without(number)
                return True
        return number <= self.start


@dataclass(slots=True)
class Counter:
    """The numbers of all producers in one log. Not `whole`: the log was cut before anybody counted."""

    log: Log
    whole: bool = True
    producers: dict[str, Numbers] = field(default_factory=dict)

    def take(self, found: Iterable[tuple[int, str, int]], now: datetime) -> Iterator[Observation]:
        """Takes (index, producer, number) in log order; tells repeats. The number 0 means that nobody counts."""
        for index, producer, number in found:
            if not number:
                continue
            numbers = self.producers.get(producer)
            if numbers is None:
                start = 0 if self.whole else number - 1
                numbers = self.producers[producer] = Numbers(start, start)
            if not numbers.take(number, now):
                if len(numbers.repeats) < _MOST_REPEATS:
                    numbers.repeats[number] = index
                yield self._repeat(producer, number, index)

    def repeats(self, minimum_index: int) -> Iterator[Observation]:
        """Tells repeats again, as long as the entries are there."""
        for producer, numbers in self.producers.items():
            numbers.repeats = {number: at for number, at in numbers.repeats.items() if at >= minimum_index}
            for number, index in numbers.repeats.items():
                yield self._repeat(producer, number, index)

    def _repeat(self, producer: str, number: int, index: int) -> Observation:
        detail = f"entry {index} has a number that another entry has"
        return Observation(self.log, FindingKind.SEQUENCE_REPEATED, f"producer {producer} {number}", detail)

    @property
    def missing(self) -> int:
        """How many numbers have not come."""
        return sum(gap.last - gap.first + 1 for numbers in self.producers.values() for gap in numbers.gaps)

    def gaps(self, now: datetime, grace: timedelta) -> Iterator[Observation]:
        """Tells numbers that are missing for longer than the grace time."""
        for producer, numbers in self.producers.items():
            for gap in numbers.gaps:
                if now - gap.since >= grace:
                    place = f"producer {producer} {gap.words}"
                    yield Observation(self.log, FindingKind.SEQUENCE_GAP, place, f"missing since {gap.since:%F %T} UTC")
