from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy import clocks

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@pytest.mark.parametrize(
    ("received", "due"),
    [
        (datetime(2026, 1, 31, 9, tzinfo=UTC), datetime(2026, 2, 28, 9, tzinfo=UTC)),
        (datetime(2028, 1, 31, 9, tzinfo=UTC), datetime(2028, 2, 29, 9, tzinfo=UTC)),
        (datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 28, tzinfo=UTC)),
        (datetime(2026, 5, 31, tzinfo=UTC), datetime(2026, 6, 30, tzinfo=UTC)),
        (datetime(2026, 12, 15, tzinfo=UTC), datetime(2027, 1, 15, tzinfo=UTC)),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last_one(received: datetime, due: datetime) -> None:
    assert clocks.months_later(received, 1) == due


@given(MOMENTS)
def test_a_month_is_never_longer_than_31_days_nor_shorter_than_28(moment: datetime) -> None:
    assert timedelta(days=28) <= clocks.months_later(moment, 1) - moment <= timedelta(days=31)


@given(MOMENTS, MOMENTS, st.integers(1, 24))
def test_months_keep_the_order(one: datetime, other: datetime, months: int) -> None:
    earlier, later = sorted((one, other))
    assert clocks.months_later(earlier, months) <= clocks.months_later(later, months)


def test_a_task_is_offered_again_after_a_minute_doubling_to_an_hour() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    waits = [(clocks.offer_again(start, offers, 0.0) - start).total_seconds() for offers in range(1, 9)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_never_shortens_the_wait_and_adds_at_most_half(offers: int, jitter: float) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    plain, jittered = clocks.offer_again(start, offers, 0.0), clocks.offer_again(start, offers, jitter)
    assert plain <= jittered <= plain + (plain - start) / 2


def test_an_erasure_is_effective_when_backups_and_the_holder_say_so() -> None:
    erased = datetime(2026, 1, 1, tzinfo=UTC)
    week, month = erased + timedelta(days=7), erased + timedelta(days=30)
    assert clocks.erasure_effective(erased, None, 7) == week
    assert clocks.erasure_effective(erased, month, 7) == month
    assert clocks.erasure_effective(erased, erased, 0) == erased
