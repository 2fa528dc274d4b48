from datetime import UTC, date, datetime, timedelta

import pytest
from igstats_stats import facts
from igstats_stats.instagram import Answer
from igstats_stats.model import Count, MediaDue, Missing
from igstats_stats.payloads import Insight, Sample

POSTED = datetime(2026, 7, 1, 12, tzinfo=UTC)
POST = MediaDue("1", "FEED", POSTED)
STORY = MediaDue("2", "STORY", POSTED)


def test_a_day_that_the_answer_leaves_out_is_empty_and_not_zero() -> None:
    samples = (Sample(5, datetime(2026, 7, 2, 7, tzinfo=UTC)), Sample(None, datetime(2026, 7, 3, 7, tzinfo=UTC)))
    answer = Answer({"reach": Insight("reach", "day", samples)}, {"follower_count": Missing.BELOW_THRESHOLD})
    found = facts.series_days(answer, ("reach", "follower_count"), date(2026, 7, 1), date(2026, 7, 3))
    assert [found[day]["reach"] for day in sorted(found)] == [
        Count(5),
        Count(missing=Missing.EMPTY),
        Count(missing=Missing.EMPTY),
    ]
    assert {each["follower_count"] for each in found.values()} == {Count(missing=Missing.BELOW_THRESHOLD)}


def test_days_are_asked_newest_first_without_those_that_are_settled() -> None:
    last = date(2026, 7, 10)
    settled = {date(2026, 7, 7), date(2026, 7, 6)}
    assert facts.needed_days(last, settled, 5) == [date(2026, 7, 10), date(2026, 7, 9), date(2026, 7, 8)]


def test_a_row_of_a_day_knows_whether_it_is_settled() -> None:
    now = datetime(2026, 7, 10, 12, tzinfo=UTC)
    rows = facts.day_facts({date(2026, 7, 8): {}, date(2026, 7, 7): {}, date(2026, 7, 9): {}}, now)
    assert [(row.day.day, row.settled) for row in rows] == [(9, False), (8, False), (7, True)]


@pytest.mark.parametrize(
    ("age", "due"), [(0, 1), (1, 6), (5, 6), (30, 48), (49, 7 * 24), (27 * 24, 28 * 24), (28 * 24, None)]
)
def test_a_post_is_looked_at_at_certain_ages_and_then_left_alone(age: int, due: int | None) -> None:
    expected = None if due is None else POSTED + timedelta(hours=due)
    assert facts.next_due(POST, POSTED + timedelta(hours=age)) == expected


def test_a_story_is_looked_at_while_its_numbers_live() -> None:
    assert facts.next_due(STORY, POSTED + timedelta(hours=6)) == POSTED + timedelta(hours=12)
    assert facts.next_due(STORY, POSTED + timedelta(hours=12)) == POSTED + timedelta(hours=23)
    assert facts.next_due(STORY, POSTED + timedelta(hours=23)) is None
    assert not facts.is_expired(STORY, POSTED + timedelta(hours=23))
    assert facts.is_expired(STORY, POSTED + timedelta(hours=24))
    assert not facts.is_expired(POST, POSTED + timedelta(days=900))


def test_metrics_known_to_be_refused_are_not_asked() -> None:
    assert "views" in facts.askable(POST, frozenset())
    assert "views" not in facts.askable(POST, {"views"})
    assert facts.refused({"views"}) == {"views": Count(missing=Missing.NOT_SUPPORTED)}
