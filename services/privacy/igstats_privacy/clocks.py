"""Clocks as pure functions of events: when a request must be answered, when a task is offered again."""

from calendar import monthrange
from datetime import datetime, timedelta

_DECEMBER = 12

FIRST_OFFER_AGAIN = timedelta(seconds=60)
LONGEST_OFFER_AGAIN = timedelta(hours=1)
LATE_AFTER = timedelta(hours=24)
"""A task not settled in this time needs a person's eye; it is still offered."""


def month_later(moment: datetime) -> datetime:
    """The same day and time one calendar month on, or that month's last day: 31 January gives 28 or 29 February."""
    year, month = (moment.year + 1, 1) if moment.month == _DECEMBER else (moment.year, moment.month + 1)
    last = monthrange(year, month)[1]
    return moment.replace(year=year, month=month, day=min(moment.day, last))


def answer_due(received: datetime) -> datetime:
    """GDPR Art. 12(3): one calendar month from receipt. CCPA's 45 days are longer, and the strictest clock wins."""
    return month_later(received)


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
