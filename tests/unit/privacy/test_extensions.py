"""Which due times can be put off, and what duplicates get of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy.decisions.rules import extendable, inherited_extension
from igstats_privacy.lifecycle import FINAL
from igstats_privacy.model import Regime, Request, Right, State
from igstats_privacy.regimes import clocks, extended

CAME = datetime(2027, 3, 1, tzinfo=UTC)


def request(regime: Regime, received: datetime, right: Right = Right.ERASURE) -> Request:
    due = clocks(right, regime, received).answer
    return Request("req_1", "R", right, State.EXECUTING, b"", "web", "", received, due, None, None, False, "", regime)


def test_a_due_time_is_put_off_once_in_time_and_while_there_is_something_to_answer() -> None:
    live = request(Regime.GDPR, CAME)
    assert extendable(live, CAME)
    assert not extendable(replace(live, extended_at=CAME), CAME)
    assert not extendable(live, live.due_at + timedelta(seconds=1))
    assert not any(extendable(replace(live, state=state), CAME) for state in FINAL)


@given(st.sampled_from(Regime), st.sampled_from(Regime), st.integers(0, 40), st.integers(0, 60))
def test_a_duplicate_is_never_put_off_further_than_its_own_law_or_its_first_allow(
    law: Regime, other: Regime, later: int, days: int
) -> None:
    now = CAME + timedelta(days=later + days)
    first, second = request(law, CAME), request(other, CAME + timedelta(days=later))
    if not extendable(first, now):
        return
    due = extended(first.right, first.regime, first.received_at, now)
    shared = replace(second, due_at=min(first.due_at, second.due_at))
    found = inherited_extension(shared, due, now)
    if found is not None:
        assert shared.due_at <= found <= due
        assert found <= extended(second.right, second.regime, second.received_at, now)


def test_a_duplicate_whose_law_knows_no_extension_keeps_its_clock() -> None:
    opting = request(Regime.CCPA, CAME, Right.OPT_OUT)
    assert inherited_extension(opting, CAME + timedelta(days=90), CAME) is None
