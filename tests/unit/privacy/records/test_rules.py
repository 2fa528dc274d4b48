"""What the ledger says about a request, and the numbers that it makes."""

from datetime import UTC, datetime, timedelta
from statistics import median

from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy.model import Regime, Right
from igstats_privacy.records import rules
from igstats_privacy.records.rules import LedgerEntry
from igstats_privacy.regimes import confirms_by_answering

CAME = datetime(2026, 3, 2, tzinfo=UTC)
DUE, CONFIRM = CAME + timedelta(days=45), CAME + timedelta(days=14)
ANSWERS = ("", "FULFILLED", "FULFILLED_IN_PART", "DENIED", "WITHDRAWN", "EXPIRED")
DAYS = st.integers(0, 120).map(lambda days: CAME + timedelta(days=days))


def entry(
    answered: datetime | None = None,
    answer: str = "",
    *,
    confirmed: datetime | None = CAME,
    confirm_due: datetime | None = CONFIRM,
    right: Right = Right.ACCESS,
) -> LedgerEntry:
    return LedgerEntry(
        "req_1", b"", right, "api", Regime.CCPA, CAME, DUE, confirm_due, confirmed, answered, answer, ground=""
    )


@st.composite
def entries(draw: st.DrawFn) -> LedgerEntry:
    answer = draw(st.sampled_from(ANSWERS))
    return entry(
        draw(DAYS) if answer else None,
        answer,
        confirmed=draw(st.none() | DAYS),
        confirm_due=draw(st.sampled_from((None, CONFIRM))),
        right=draw(st.sampled_from((Right.ACCESS, Right.ERASURE))),
    )


def test_an_answer_in_time_misses_nothing_and_a_late_one_stays_missed() -> None:
    assert not rules.missed(entry(DUE - timedelta(seconds=1), "FULFILLED"), DUE + timedelta(days=400))
    assert rules.missed(entry(DUE, "FULFILLED"), DUE)
    assert rules.missed(entry(), DUE)


def test_an_answer_confirms_the_receipt_and_a_late_letter_does_not_heal_it() -> None:
    assert not rules.missed(entry(CONFIRM - timedelta(days=1), "FULFILLED", confirmed=None), DUE)
    assert rules.missed(entry(confirmed=None), CONFIRM)
    assert rules.missed(entry(DUE - timedelta(days=1), "FULFILLED", confirmed=CONFIRM), DUE)
    assert not rules.missed(entry(confirmed=None, confirm_due=None), CONFIRM)


@given(entries(), DAYS, DAYS)
def test_a_missed_clock_never_becomes_one_that_was_met(one: LedgerEntry, first: datetime, second: datetime) -> None:
    earlier, later = sorted((first, second))
    assert rules.missed(one, later) or not rules.missed(one, earlier)


@given(st.lists(entries()), DAYS)
def test_metrics_count_every_request_once(found: list[LedgerEntry], now: datetime) -> None:
    numbers = rules.metrics(found, now)
    assert [one.right for one in numbers] == sorted({one.right for one in found})
    for one in numbers:
        same = [entry for entry in found if entry.right is one.right]
        taken_back = sum(entry.answer == "WITHDRAWN" for entry in same)
        assert one.received == len(same) == one.met + one.met_in_part + one.refused + one.open + taken_back
        assert one.missed == sum(rules.missed(entry, now) for entry in same)
        days = [(entry.answered_at - CAME).days for entry in same if entry.answered_at and entry.answer != "WITHDRAWN"]
        assert one.median_days == (median(days) if days else 0)


def test_doors_of_the_person_confirm_by_answering_and_those_of_others_do_not() -> None:
    assert all(confirms_by_answering(door) for door in ("api", "web", "meta", "drp", "opendsr"))
    assert not confirms_by_answering("officer")
    assert not confirms_by_answering("drop")
    assert confirms_by_answering("officer", "req_parent")
