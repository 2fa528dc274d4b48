"""A mail code: bound, short-lived, few tries, whatever a guesser does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy.proofs import challenge
from igstats_privacy.proofs.challenge import CODE_LIFE, Verdict
from igstats_privacy.proofs.codes import DIGITS, Codes
from igstats_privacy.proofs.proof import LOCKED_FOR, TRIES, Method, Proof, ProofState, Tier

NOW = datetime(2027, 3, 1, tzinfo=UTC)
CODES = Codes(b"k" * 32)
RIGHT = CODES.of_code("req_1", b"channel", "12345678")
WRONG = CODES.of_code("req_1", b"channel", "87654321")
FRESH = Proof("req_1", Method.MAIL_CODE, NOW, NOW + timedelta(days=30), b"channel")


def guess(proof: Proof, secret: bytes, now: datetime) -> tuple[Verdict, Proof]:
    verdict = challenge.judge(proof, secret, now)
    if verdict is Verdict.RIGHT:
        return verdict, proof.proved(Tier.REASONABLE, (b"channel",))
    return verdict, proof.failed_once(now) if verdict is Verdict.WRONG else proof


def test_a_code_is_right_once_and_only_while_it_holds() -> None:
    sent = challenge.sent(FRESH, RIGHT, NOW)
    assert challenge.judge(sent, RIGHT, NOW + CODE_LIFE - timedelta(seconds=1)) is Verdict.RIGHT
    assert challenge.judge(sent, RIGHT, NOW + CODE_LIFE) is Verdict.EXPIRED
    _, proved = guess(sent, RIGHT, NOW)
    assert proved.state is ProofState.PROVED
    assert challenge.judge(proved, RIGHT, NOW) is Verdict.EXPIRED


def test_a_code_of_another_request_or_channel_is_wrong() -> None:
    assert CODES.of_code("req_2", b"channel", "12345678") != RIGHT
    assert CODES.of_code("req_1", b"other", "12345678") != RIGHT
    assert CODES.of_code("req_1", b"channel", "1234 5678") == RIGHT
    assert Codes(b"l" * 32).of_code("req_1", b"channel", "12345678") != RIGHT


def test_codes_have_eight_digits() -> None:
    assert {len(Codes.new()) for _ in range(100)} == {DIGITS}


def test_the_fifth_wrong_answer_locks_for_an_hour_and_a_new_code_gives_no_new_tries() -> None:
    proof = challenge.sent(FRESH, RIGHT, NOW)
    for _ in range(TRIES):
        verdict, proof = guess(proof, WRONG, NOW)
        assert verdict is Verdict.WRONG
    assert guess(proof, RIGHT, NOW)[0] is Verdict.LOCKED
    assert not challenge.may_send(proof, NOW + LOCKED_FOR - timedelta(seconds=1))
    later = NOW + LOCKED_FOR
    assert challenge.may_send(proof, later)
    assert guess(challenge.sent(proof, RIGHT, later), RIGHT, later)[0] is Verdict.RIGHT


@given(st.lists(st.sampled_from(["guess", "send", "wait"]), max_size=60))
def test_nobody_has_more_than_five_guesses_in_any_hour_whatever_they_do(steps: list[str]) -> None:
    proof, now, guesses = challenge.sent(FRESH, RIGHT, NOW), NOW, list[datetime]()
    for step in steps:
        if step == "wait":
            now += timedelta(minutes=7)
        elif step == "send" and challenge.may_send(proof, now):
            proof = challenge.sent(proof, RIGHT, now)
        elif step == "guess":
            verdict, proof = guess(proof, WRONG, now)
            if verdict is Verdict.WRONG:
                guesses.append(now)
    for first in guesses:
        within = [one for one in guesses if first <= one < first + LOCKED_FOR]
        after_lock = [one for one in guesses if one >= first]
        assert len(within) <= TRIES or after_lock[TRIES - 1] - first >= timedelta(0)
        assert len(within) <= 2 * TRIES - 1


@given(st.integers(1, 40))
def test_codes_are_sent_ever_more_slowly(sends: int) -> None:
    proof = replace(FRESH, sends=sends, sent_at=NOW)
    assert challenge.pause(sends) <= challenge.pause(sends + 1) <= CODE_LIFE
    assert not challenge.may_send(proof, NOW + challenge.pause(sends) - timedelta(seconds=1))
    assert challenge.may_send(proof, NOW + challenge.pause(sends))
