from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_stats import days

SPRING_FORWARD = date(2026, 3, 8)
FALL_BACK = date(2026, 11, 1)
DATES = st.dates(date(2015, 1, 1), date(2040, 1, 1))


@pytest.mark.parametrize(
    ("end_time", "day"),
    [
        ("2017-05-04T07:00:00+0000", date(2017, 5, 3)),  # daylight time
        ("2024-01-15T08:00:00+0000", date(2024, 1, 14)),  # standard time
        ("2024-01-15T07:00:00+0000", date(2024, 1, 14)),  # one hour before midnight: still the day before
        ("2026-03-09T07:00:00+0000", SPRING_FORWARD),
        ("2026-11-02T08:00:00+0000", FALL_BACK),
        ("2026-03-08T00:00:00-0800", date(2026, 3, 7)),
    ],
)
def test_the_metric_day_is_the_los_angeles_date_one_second_before_the_end(end_time: str, day: date) -> None:
    assert days.metric_day(datetime.fromisoformat(end_time)) == day


@pytest.mark.parametrize(("day", "hours"), [(SPRING_FORWARD, 23), (date(2026, 7, 1), 24), (FALL_BACK, 25)])
def test_a_day_has_as_many_hours_as_the_clocks_of_los_angeles_give_it(day: date, hours: int) -> None:
    assert days.end_of(day) - days.start_of(day) == timedelta(hours=hours)


@given(DATES)
def test_the_end_of_a_day_belongs_to_that_day(day: date) -> None:
    assert days.metric_day(days.end_of(day)) == day
    assert days.day_of(days.start_of(day)) == day


@given(DATES, st.integers(0, 400))
def test_windows_cover_every_day_once_and_stay_within_what_instagram_answers(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    found = list(days.windows(first, last))
    assert found[0][0] == first
    assert found[-1][1] == last
    assert all(later[0] == earlier[1] + timedelta(days=1) for earlier, later in pairwise(found))
    for begin, end in found:
        since, until = days.seconds(begin, end)
        assert until - since <= 30 * 86400


def test_an_empty_range_has_no_windows_and_no_days() -> None:
    assert list(days.windows(date(2026, 1, 2), date(2026, 1, 1))) == []
    assert list(days.span(date(2026, 1, 2), date(2026, 1, 1))) == []


def test_a_day_settles_two_days_after_its_end() -> None:
    day = date(2026, 7, 1)
    end = datetime(2026, 7, 2, 7, tzinfo=UTC)
    assert not days.is_settled(day, end + timedelta(hours=48) - timedelta(seconds=1))
    assert days.is_settled(day, end + timedelta(hours=48))


def test_the_last_complete_day_ends_at_midnight_in_los_angeles() -> None:
    assert days.last_complete(datetime(2026, 7, 2, 6, 59, tzinfo=UTC)) == date(2026, 6, 30)
    assert days.last_complete(datetime(2026, 7, 2, 7, 0, tzinfo=UTC)) == date(2026, 7, 1)
