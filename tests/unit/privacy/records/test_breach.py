"""Breaches: what follows from their events, and when their clock is missed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.records.breach import Breach, BreachEvent, Kind, require_addable
from igstats_privacy.records.clock import Clock, of_breach, of_request, urgent_first
from igstats_privacy.regimes import ALERTS

from tests.unit.privacy.records.test_rules import CAME, CONFIRM, DUE, entry

FOUND = datetime(2026, 11, 1, 9, tzinfo=UTC)
DEADLINE = FOUND + timedelta(hours=72)
HOURS = st.integers(0, 400).map(lambda hours: FOUND + timedelta(hours=hours))


def breach(*events: tuple[Kind, datetime]) -> Breach:
    written = tuple(BreachEvent("ada", moment, kind, "words") for kind, moment in events)
    return Breach("brc_1", FOUND, ("user.contact.email",), 3, "", written)


def test_the_authority_must_be_told_within_72_hours_of_the_discovery() -> None:
    assert breach().authority_due_at == DEADLINE
    told = breach((Kind.AUTHORITY_TOLD, DEADLINE - timedelta(minutes=1)))
    assert not told.missed(DEADLINE + timedelta(days=9))
    assert breach().missed(DEADLINE)


def test_telling_late_does_not_undo_a_missed_clock_and_closing_late_does_not_hide_it() -> None:
    late = DEADLINE + timedelta(hours=1)
    assert breach((Kind.AUTHORITY_TOLD, late)).missed(late)
    assert breach((Kind.ASSESSED, FOUND), (Kind.CLOSED, late)).missed(late)
    assert not breach((Kind.ASSESSED, FOUND), (Kind.CLOSED, DEADLINE - timedelta(hours=1))).missed(late)


@given(st.lists(st.tuples(st.sampled_from(Kind), HOURS), max_size=6), HOURS, HOURS)
def test_a_missed_breach_stays_missed_whatever_is_added(
    events: list[tuple[Kind, datetime]], first: datetime, second: datetime
) -> None:
    earlier, later = sorted((first, second))
    before = [pair for pair in sorted(events, key=lambda pair: pair[1]) if pair[1] <= earlier]
    after = [*before, *(pair for pair in events if pair[1] > earlier)]
    assert breach(*after).missed(later) or not breach(*before).missed(earlier)


def test_the_first_word_to_the_authority_counts() -> None:
    twice = breach((Kind.AUTHORITY_TOLD, FOUND), (Kind.AUTHORITY_TOLD, DEADLINE))
    assert twice.authority_told_at == FOUND


def test_after_its_close_a_breach_takes_notes_only() -> None:
    closed = breach((Kind.ASSESSED, FOUND), (Kind.CLOSED, FOUND)).events
    require_addable(Kind.NOTE, closed)
    with pytest.raises(DomainError) as caught:
        require_addable(Kind.AUTHORITY_TOLD, closed)
    assert caught.value.reason is Reason.TRANSITION_NOT_ALLOWED


def test_a_breach_is_not_closed_before_its_risk_was_judged() -> None:
    with pytest.raises(DomainError):
        require_addable(Kind.CLOSED, breach((Kind.DISCOVERED, FOUND), (Kind.MENDED, FOUND)).events)
    require_addable(Kind.CLOSED, breach((Kind.DISCOVERED, FOUND), (Kind.ASSESSED, FOUND)).events)


def test_a_breach_alerts_until_the_authority_is_told() -> None:
    (alert,) = of_breach(breach(), FOUND + timedelta(hours=65))
    assert (alert.about, alert.clock, alert.percent, alert.due_at) == ("brc_1", Clock.AUTHORITY, 90, DEADLINE)
    assert list(of_breach(breach((Kind.AUTHORITY_TOLD, FOUND)), DEADLINE)) == []
    assert list(of_breach(breach((Kind.ASSESSED, FOUND), (Kind.CLOSED, FOUND)), DEADLINE)) == []


def test_an_open_request_alerts_for_its_answer_and_for_its_receipt() -> None:
    now = CAME + (DUE - CAME) * 0.8
    assert [(one.clock, one.percent) for one in of_request(entry(confirmed=None), now)] == [
        (Clock.ANSWER, 75),
        (Clock.CONFIRM, 100),
    ]
    assert [one.clock for one in of_request(entry(), now)] == [Clock.ANSWER]
    assert list(of_request(entry(now, "FULFILLED"), now)) == []
    assert list(of_request(entry(confirmed=None), CAME + (CONFIRM - CAME) * 0.4)) == []


@given(st.lists(HOURS))
def test_the_most_urgent_alert_comes_first(moments: list[datetime]) -> None:
    alerts = [alert for moment in moments for alert in of_breach(breach(), moment)]
    ordered = urgent_first(alerts)
    assert [one.percent for one in ordered] == sorted((one.percent for one in ordered), reverse=True)
    assert {one.percent for one in ordered} <= set(ALERTS)
