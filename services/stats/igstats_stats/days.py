"""Instagram's metric days: Los Angeles calendar days, daylight saving time included.

A period that ends at `end_time` belongs to the Los Angeles date one second earlier. Never a fixed offset.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE = "America/Los_Angeles"
LOS_ANGELES = ZoneInfo(ZONE)
SETTLE = timedelta(hours=48)
WINDOW_LIMIT = timedelta(days=30)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


def metric_day(end_time: datetime) -> date:
    """The metric day of a period that ends at `end_time`."""
    return (end_time.astimezone(UTC) - _SECOND).astimezone(LOS_ANGELES).date()


def day_of(moment: datetime) -> date:
    """The Los Angeles date of a moment."""
    return moment.astimezone(LOS_ANGELES).date()


def start_of(day: date) -> datetime:
    """When the metric day begins, in UTC."""
    return datetime.combine(day, time(), LOS_ANGELES).astimezone(UTC)


def end_of(day: date) -> datetime:
    """When the metric day ends, in UTC: 23, 24 or 25 hours after its start."""
    return start_of(day + _DAY)


def last_complete(moment: datetime) -> date:
    """The newest metric day that is over."""
    return day_of(moment) - _DAY


def is_settled(day: date, observed_at: datetime) -> bool:
    """Whether a value seen at `observed_at` is past the time in which Instagram corrects it."""
    return observed_at >= end_of(day) + SETTLE


def span(first: date, last: date) -> Iterator[date]:
    """All days from `first` to `last`, inclusive."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def seconds(first: date, last: date) -> tuple[int, int]:
    """`since` and `until` (Unix seconds, both inclusive) that cover the days from `first` to `last`."""
    return int(start_of(first).timestamp()), int(end_of(last).timestamp()) - 1


def windows(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Cuts days into pieces that Instagram answers: at most 2592000 seconds each, the long autumn day included."""
    begin = first
    while begin <= last:
        end = min(last, begin + WINDOW_LIMIT - _DAY)
        if end_of(end) - _SECOND - start_of(begin) > WINDOW_LIMIT:
            end -= _DAY
        yield begin, end
        begin = end + _DAY
