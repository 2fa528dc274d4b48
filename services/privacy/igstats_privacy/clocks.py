"""Times as pure functions of events: months, repeats of offers, the end of backups. `regimes` has the laws' clocks."""

from calendar import monthrange
from datetime import datetime, timedelta

_MONTHS = 12

FIRST_OFFER_AGAIN = timedelta(seconds=60)
LONGEST_OFFER_AGAIN = timedelta(hours=1)
LATE_AFTER = timedelta(hours=24)
"""A task not settled in this time needs a person's eye; it is still offered."""


def months_later(moment: datetime, months: int) -> datetime:
    """The same day and time so many calendar months on, or that month's last day: 31 January gives 28 or 29 February.

    Regulation 1182/71 article 3(2)(c).
    """
    years, month = divmod(moment.month - 1 + months, _MONTHS)
    year = moment.year + years
    last = monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def offer_again(offered: datetime, offers: int, jitter: float) -> datetime:
    """When a task offered `offers` times is offered again: 60 s, doubling to 1 h, and up to half more.

    A shorter first wait made a storm of repeats without any fault.
    """
    wait = min(FIRST_OFFER_AGAIN * (1 << min(offers - 1, 6)), LONGEST_OFFER_AGAIN)
    return offered + wait * (1 + jitter / 2)


def erasure_effective(erased: datetime, stated: datetime | None, backup_days: int) -> datetime:
    """From when an erasure is true everywhere: the holder's own date, or when the last backup with the data is gone."""
    backups_gone = erased + timedelta(days=backup_days)
    return max(backups_gone, stated) if stated is not None else backups_gone
