"""When a canary is due, and what counts as a proof."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy.canaries.rules import HOLDER, Word, broken_promise, is_over, slot, unfulfilled
from igstats_privacy.lifecycle import FINAL
from igstats_privacy.model import Outcome, State

GOOD = {HOLDER: Word(Outcome.ERASED, 2), "stats": Word(Outcome.NOT_HELD, 0)}
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it


def test_a_day_has_one_canary() -> None:
    day = timedelta(hours=24)
    assert slot(datetime(2026, 11, 28, 0, 0, tzinfo=UTC), day) == "2026-11-28T00:00:00Z"
    assert slot(datetime(2026, 11, 28, 23, 59, tzinfo=UTC), day) == "2026-11-28T00:00:00Z"
    assert slot(datetime(2026, 11, 29, 0, 0, tzinfo=UTC), day) == "2026-11-29T00:00:00Z"


@given(TIMES, st.integers(1, 168))
def test_whenever_one_looks_again_within_the_hours_at_most_one_more_canary_is_due(now: datetime, hours: int) -> None:
    every = timedelta(hours=hours)
    seen = {slot(now + every * part / 10, every) for part in range(10)}
    assert 1 <= len(seen) <= 2
    assert slot(now + every, every) > slot(now, every)


def test_an_erasure_is_proved_when_everybody_has_spoken_and_the_person_was_found() -> None:
    assert broken_promise([HOLDER, "stats"], GOOD) == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({HOLDER: Word(Outcome.NOT_HELD, 0)}, "gateway did not find the person"),
        ({HOLDER: Word(Outcome.ERASED, 0)}, "gateway did not find the person"),
        ({"stats": Word(Outcome.RETAINED, 1)}, "stats answered RETAINED"),
        ({HOLDER: Word(Outcome.NEEDS_HUMAN, 1)}, "gateway answered NEEDS_HUMAN"),
    ],
)
def test_whatever_a_holder_left_undone_is_named(changed: dict[str, Word], reason: str) -> None:
    assert broken_promise([HOLDER, "stats"], GOOD | changed) == reason


def test_silence_is_no_success() -> None:
    assert broken_promise([HOLDER, "stats", "audit"], GOOD) == "audit has not settled"
    assert broken_promise([], {}) == "gateway has not settled"


@given(st.dictionaries(st.sampled_from(["audit", "stats"]), st.builds(Word, st.sampled_from(Outcome), st.integers(0))))
def test_without_a_row_erased_at_the_gateway_nothing_is_proved(words: dict[str, Word]) -> None:
    assert broken_promise(["audit", "stats"], words) != ""


def test_a_canary_is_looked_at_when_its_request_is_over_and_only_an_erasure_counts() -> None:
    over = {state for state in State if is_over(state)}
    assert over == FINAL | {State.SETTLING}
    assert {state for state in over if not unfulfilled(state)} == {State.SETTLING, State.FULFILLED}
