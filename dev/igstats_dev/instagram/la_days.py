"""Los Angeles days as Instagram reports them: 07:00Z in summer, 08:00Z in winter.

Written apart from the connector's own code on purpose: the emulator would not show an error that both share.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Los_Angeles")


def midnight(day: date) -> datetime:
    """The first instant of a Los Angeles day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)


def la_date(moment: datetime) -> date:
    """The Los Angeles calendar date of a moment."""
    return moment.astimezone(ZONE).date()


def next_day(day: date) -> date:
    """The day after."""
    return day + timedelta(days=1)


def days_in(since: int, until: int) -> list[date]:
    """Days that begin within [since, until] (Unix seconds)."""
    day = la_date(datetime.fromtimestamp(since, UTC))
    if midnight(day).timestamp() < since:
        day = next_day(day)
    found = []
    while midnight(day).timestamp() <= until:
        found.append(day)
        day = next_day(day)
    return found


def wire(moment: datetime) -> str:
    """A time as the Graph API writes it: 2024-01-15T08:00:00+0000."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
