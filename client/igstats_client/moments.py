"""Times as people type them: a day, a time, or how long ago; pure."""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse(text: str, now: datetime) -> datetime:
    """2026-11-23, 2026-11-23T12:00, 2026-11-23T12:00+01:00, or 30m, 24h, 7d ago. Without a zone it is UTC.

    Raises:
        ValueError: It is none of these, or lies outside the years 1 to 9999.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return now - int(ago[1]) * _UNITS[ago[2]]
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time: write 2026-11-23, 2026-11-23T12:00Z, or 30m, 24h, 7d ago") from error
