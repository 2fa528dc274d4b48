"""Daily values of metrics: every day asked has a point, and a point without a value says why."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from igstats_stats.days import span
from igstats_stats.errors import metric_unknown, time_range_invalid
from igstats_stats.metrics import DAILY, GAUGES
from igstats_stats.model import NOT_REQUESTED, Point, Series, StoredDay
from igstats_stats.profiles import Profiles
from igstats_stats.store.reads import ReadStore

LIMIT_DAYS = 366


class TimeSeries:
    """Answers queries for daily values."""

    def __init__(self, profiles: Profiles, store: ReadStore) -> None:
        self._profiles = profiles
        self._store = store

    async def query(
        self, account_id: str, name: str, metrics: Sequence[str], start_day: str, end_day: str
    ) -> list[Series]:
        """One series a metric, in the order asked, one point a day.

        Raises:
            DomainError: METRIC_UNKNOWN, TIME_RANGE_INVALID, PROFILE_NOT_FOUND, SUBJECT_RESTRICTED or SUBJECT_OPTED_OUT.
        """
        first, last = _range(start_day, end_day)
        for metric in metrics:
            if metric not in DAILY:
                raise metric_unknown(metric)
        profile = await self._profiles.get(account_id, name)
        gauges = [metric for metric in dict.fromkeys(metrics) if metric in GAUGES]
        columns = [metric for metric in dict.fromkeys(metrics) if metric not in GAUGES]
        days = await self._store.days(profile.profile_id, columns, first, last) if columns else []
        samples = await self._store.gauges(profile.profile_id, first, last) if gauges else []
        sources = {True: _by_day(samples), False: _by_day(days)}
        return [_series(metric, sources[metric in GAUGES], first, last) for metric in metrics]


def _range(start_day: str, end_day: str) -> tuple[date, date]:
    try:
        first, last = date.fromisoformat(start_day), date.fromisoformat(end_day)
    except ValueError:
        raise time_range_invalid(LIMIT_DAYS) from None
    if not timedelta(0) <= last - first <= timedelta(days=LIMIT_DAYS):
        raise time_range_invalid(LIMIT_DAYS)
    return first, last


def _by_day(stored: Sequence[StoredDay]) -> dict[date, StoredDay]:
    return {found.day: found for found in stored}


def _series(metric: str, stored: Mapping[date, StoredDay], first: date, last: date) -> Series:
    points = [_point(metric, day, stored.get(day)) for day in span(first, last)]
    return Series(metric, DAILY[metric].kind, points)


def _point(metric: str, day: date, stored: StoredDay | None) -> Point:
    if stored is None:
        return Point(day, NOT_REQUESTED)
    count = stored.counts[metric]
    if count.value is None:
        return Point(day, count, provisional=not stored.settled)
    return Point(day, count, stored.revision, provisional=not stored.settled)
