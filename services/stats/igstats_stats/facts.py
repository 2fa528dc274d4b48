"""From answers to rows: which day a value belongs to, why one is missing, when to ask again. Pure."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta

from igstats_stats import days
from igstats_stats.instagram import Answer
from igstats_stats.metrics import STORY, media_metrics
from igstats_stats.model import Count, DayFacts, InsightFacts, MediaDue, Missing

USER = "USER"  # what capabilities call the profile itself, beside media product types
STORY_LIFE = timedelta(hours=24)
# The ages at which a post is looked at; after the last one it is not asked again.
_AGES = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 48, 7 * 24, 28 * 24))
_STORY_AGES = tuple(timedelta(hours=hours) for hours in (1, 6, 12, 23))  # the last one shortly before it is gone


def series_days(answer: Answer, metrics: Iterable[str], first: date, last: date) -> dict[date, dict[str, Count]]:
    """Counts by day of a series answer. A day that Instagram left out is EMPTY, or has the answer's reason."""
    found: dict[date, dict[str, Count]] = {day: {} for day in days.span(first, last)}
    for metric in metrics:
        by_day = answer.by_day(metric)
        absent = Count(missing=answer.missing.get(metric, Missing.EMPTY))
        for day, counts in found.items():
            counts[metric] = by_day.get(day, absent)
    return found


def totals(answer: Answer, metrics: Iterable[str]) -> dict[str, Count]:
    """Counts of a totals or lifetime answer."""
    return {metric: answer.total(metric) for metric in metrics}


def refused(metrics: Iterable[str]) -> dict[str, Count]:
    """Counts of metrics that are known to be refused and were not asked."""
    return {metric: Count(missing=Missing.NOT_SUPPORTED) for metric in metrics}


def day_facts(found: Mapping[date, Mapping[str, Count]], now: datetime) -> list[DayFacts]:
    """Rows of daily values, newest first."""
    return [DayFacts(day, found[day], settled=days.is_settled(day, now)) for day in sorted(found, reverse=True)]


def insight_facts(item: MediaDue, counts: Mapping[str, Count], now: datetime) -> InsightFacts:
    """A row of media insights, and when to ask again."""
    return InsightFacts(item.media_id, counts, next_due(item, now))


def next_due(item: MediaDue, now: datetime) -> datetime | None:
    """The next age at which the item is looked at; None when there is none. A story's numbers live 24 hours."""
    ages = _STORY_AGES if item.product_type == STORY else _AGES
    return next((item.posted_at + age for age in ages if item.posted_at + age > now), None)


def is_expired(item: MediaDue, now: datetime) -> bool:
    """Whether Instagram has forgotten the item's insights."""
    return item.product_type == STORY and now >= item.posted_at + STORY_LIFE


def askable(item: MediaDue, known: Collection[str]) -> tuple[str, ...]:
    """Metrics of a media item that are worth asking: those of its product type that are not known to be refused."""
    return tuple(metric for metric in media_metrics(item.product_type) if metric not in known)


def needed_days(last: date, settled: Collection[date], count: int) -> list[date]:
    """Complete days that must be asked, newest first: the last `count` without those that are settled."""
    recent = (last - timedelta(days=back) for back in range(count))
    return [day for day in recent if day not in settled]
