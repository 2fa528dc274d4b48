"""Producers' numbers: whatever the order in which they come, exactly those that are missing or repeated are told."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from igstats_audit.model import Log
from igstats_audit.monitor.numbers import Counter

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
GRACE = timedelta(minutes=15)


def counted(numbers: list[int], *, whole: bool = True) -> tuple[list[str], list[str]]:
    """Places of repeats and of gaps after the grace time."""
    counter = Counter(Log.EVIDENCE, whole)
    repeats = [one.place for one in counter.take([(at, "stats", number) for at, number in enumerate(numbers)], NOW)]
    return repeats, [one.place for one in counter.gaps(NOW + GRACE, GRACE)]


@given(st.permutations(range(1, 30)))
def test_any_order_without_gap_is_silent(numbers: list[int]) -> None:
    assert counted(numbers) == ([], [])


@given(st.lists(st.integers(1, 40), max_size=60))
def test_the_missing_and_the_repeated_are_told_in_any_order(numbers: list[int]) -> None:
    repeats, gaps = counted(numbers)
    again = [f"producer stats {number}" for at, number in enumerate(numbers) if number in numbers[:at]]
    assert repeats == again
    ranges = [place.removeprefix("producer stats ").split("..") for place in gaps]
    missing = {number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)}
    assert missing == set(range(1, max(numbers, default=0))) - set(numbers)


def test_a_gap_is_named_by_its_numbers_once_the_grace_time_is_over() -> None:
    counter = Counter(Log.EVIDENCE)
    assert list(counter.take([(0, "stats", 40), (1, "privacy", 2)], NOW)) == []
    assert list(counter.gaps(NOW + GRACE - timedelta(seconds=1), GRACE)) == []
    assert [one.place for one in counter.gaps(NOW + GRACE, GRACE)] == ["producer stats 1..39", "producer privacy 1"]


def test_a_number_that_comes_late_splits_its_gap() -> None:
    assert counted([1, 9, 5])[1] == ["producer stats 2..4", "producer stats 6..8"]


def test_entries_without_number_are_not_counted() -> None:
    assert counted([0, 0, 0]) == ([], [])


def test_where_the_beginning_is_cut_counting_starts_in_the_middle() -> None:
    assert counted([41, 40, 43], whole=False) == ([], ["producer stats 42"])
