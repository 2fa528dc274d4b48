from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from igstats_kit.errors import DomainError, Reason
from igstats_privacy import regimes
from igstats_privacy.model import Regime, Right

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
RIGHTS, REGIMES = st.sampled_from(Right), st.sampled_from(Regime)
CAME = datetime(2026, 11, 24, 18, tzinfo=UTC)  # a Tuesday, two days before Thanksgiving


def test_gdpr_gives_a_month_and_two_more_with_reasons() -> None:
    found = regimes.clocks(Right.ACCESS, Regime.GDPR, datetime(2026, 1, 31, tzinfo=UTC))
    assert found.answer == datetime(2026, 2, 28, tzinfo=UTC)
    assert found.extended == datetime(2026, 4, 30, tzinfo=UTC)
    assert found.confirm is None


def test_ccpa_gives_45_days_and_45_more_and_ten_business_days_to_confirm() -> None:
    found = regimes.clocks(Right.ERASURE, Regime.CCPA, CAME)
    assert found.answer == CAME + timedelta(days=45)
    assert found.extended == CAME + timedelta(days=90)
    # Thanksgiving, the day after it (a Californian holiday) and two weekends do not count.
    assert found.confirm == datetime(2026, 12, 10, 18, tzinfo=UTC)


def test_an_opt_out_has_fifteen_business_days_and_no_extension() -> None:
    found = regimes.clocks(Right.OPT_OUT, Regime.CCPA, CAME)
    assert found.answer == datetime(2026, 12, 17, 18, tzinfo=UTC)
    assert (found.extended, found.confirm) == (None, None)


def test_the_day_of_receipt_is_the_day_in_california() -> None:
    late_on_monday = datetime(2026, 6, 2, 6, tzinfo=UTC)  # 23:00 of 1 June in Los Angeles
    assert regimes.business_days_later(late_on_monday, 1) == late_on_monday + timedelta(days=1)


@pytest.mark.parametrize("day", [date(2026, 7, 3), date(2026, 3, 31), date(2026, 11, 27), date(2026, 11, 28)])
def test_californian_holidays_and_weekends_are_no_business_days(day: date) -> None:
    assert not regimes.is_business_day(day)


@given(RIGHTS, MOMENTS)
def test_where_two_laws_meet_the_strictest_clock_wins(right: Right, received: datetime) -> None:
    both = regimes.clocks(right, Regime.GDPR_AND_CCPA, received)
    each = [regimes.clocks(right, regime, received) for regime in (Regime.GDPR, Regime.CCPA)]
    assert both.answer == min(one.answer for one in each)
    assert both.confirm == each[1].confirm
    if both.extended is not None:
        assert both.extended == min(one.extended or one.answer for one in each)


@given(RIGHTS, REGIMES, MOMENTS, MOMENTS)
def test_who_asks_earlier_is_answered_no_later(right: Right, regime: Regime, one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert regimes.clocks(right, regime, earlier).answer <= regimes.clocks(right, regime, later).answer


@given(RIGHTS, REGIMES, MOMENTS)
def test_every_clock_lies_ahead_and_confirmation_comes_before_the_answer(
    right: Right, regime: Regime, received: datetime
) -> None:
    found = regimes.clocks(right, regime, received)
    assert received < found.answer
    assert found.confirm is None or received < found.confirm < found.answer
    assert found.extended is None or found.answer < found.extended


@example(datetime(2025, 2, 28, 7, tzinfo=UTC), 16)  # summer time begins meanwhile
@given(MOMENTS, st.integers(1, 40))
def test_business_days_are_counted_one_by_one(moment: datetime, count: int) -> None:
    step = regimes.business_days_later(moment, count - 1)
    assert regimes.business_days_later(step, 1) == regimes.business_days_later(moment, count)


def test_an_extension_needs_its_notice_within_the_first_period() -> None:
    due = regimes.clocks(Right.ACCESS, Regime.GDPR, CAME)
    assert regimes.extended(Right.ACCESS, Regime.GDPR, CAME, due.answer) == due.extended
    for right, regime, now in (
        (Right.ACCESS, Regime.GDPR, due.answer + timedelta(seconds=1)),
        (Right.OPT_OUT, Regime.CCPA, CAME),
    ):
        with pytest.raises(DomainError) as refused:
            regimes.extended(right, regime, CAME, now)
        assert refused.value.reason is Reason.EXTENSION_NOT_ALLOWED


@pytest.mark.parametrize(("share", "percent"), [(0, 0), (49, 0), (50, 50), (74, 50), (75, 75), (90, 90), (100, 100)])
def test_a_clock_reports_half_three_quarters_nine_tenths_and_its_end(share: int, percent: int) -> None:
    assert regimes.reached(CAME, CAME + timedelta(hours=100), CAME + timedelta(hours=share)) == percent


@given(MOMENTS, st.timedeltas(timedelta(days=1), timedelta(days=90)), st.floats(0, 3), st.floats(0, 1))
def test_alerts_never_go_back(received: datetime, span: timedelta, share: float, more: float) -> None:
    due, now = received + span, received + span * share
    assert regimes.reached(received, due, now) <= regimes.reached(received, due, now + span * more)
