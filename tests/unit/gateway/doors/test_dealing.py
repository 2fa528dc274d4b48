"""When a partner is told, and when we stop trying."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.dealing import PATIENCE, Dealing, Due, delivered, failed, unchanged

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DUE = Due(Dealing("drp", "A", "x", "req_1", "code", NOW), 0, b"", b"told", 0, None)


@given(st.integers(0, 10_000))
def test_the_longer_nothing_happens_the_rarer_we_look_but_never_rarer_than_every_quarter_of_an_hour(
    attempts: int,
) -> None:
    turn = unchanged(replace(DUE, attempts=attempts), NOW)
    assert turn.next_at is not None
    assert timedelta(seconds=15) <= turn.next_at - NOW <= timedelta(minutes=15)
    assert turn.attempts == attempts + 1


def test_after_news_we_look_again_soon_and_after_the_last_news_never() -> None:
    assert delivered(b"new", NOW, final=False).next_at == NOW + timedelta(seconds=15)
    assert delivered(b"new", NOW, final=True).next_at is None


def test_a_callback_that_fails_is_tried_for_five_days_and_then_given_up() -> None:
    due, now, tries = DUE, NOW, 0
    while True:
        turn = failed(due, now)
        tries += 1
        if turn.next_at is None:
            break
        assert turn.told == b"told"
        assert turn.next_at > now
        due, now = replace(due, attempts=turn.attempts, failing_since=turn.failing_since), turn.next_at
    assert PATIENCE <= now - NOW <= PATIENCE + timedelta(hours=1)
    assert 100 < tries < 200


def test_a_failure_after_a_long_silence_is_tried_again_at_once() -> None:
    turn = failed(replace(DUE, attempts=50), NOW)
    assert turn.next_at == NOW + timedelta(seconds=15)
