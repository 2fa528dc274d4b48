"""The clocks that the laws set for a request, as pure functions of its right, its law and the moment it came.

When laws overlap the strictest wins. No clock pauses: CCPA counts "regardless of time required to verify" (11 CCR
7021(b)), and for GDPR we do not use the pause that EDPB guidelines 01/2022 allow for doubts about the identity.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays
from igstats_kit.errors import DomainError, Reason

from igstats_privacy.clocks import months_later
from igstats_privacy.model import Regime, Right

GDPR_MONTHS, GDPR_EXTENDED_MONTHS = 1, 3
CCPA_CONFIRM_DAYS, CCPA_OPT_OUT_DAYS = 10, 15
"""Business days in California."""
CCPA_DAYS, CCPA_EXTENDED_DAYS = timedelta(days=45), timedelta(days=90)
BREACH_HOURS = timedelta(hours=72)
"""GDPR article 33(1): until the authority must be told."""
ALERTS = (50, 75, 90, 100)
"""Shares of a clock, in percent, at which somebody is told; the last one means missed."""

_SILENT_DOORS = frozenset({"officer", "drop"})
"""Doors whose caller is not the person: what they are answered confirms nothing to the person."""
_SATURDAY = 5
_CALIFORNIA = ZoneInfo("America/Los_Angeles")
_OPTING = frozenset({Right.OPT_OUT, Right.OPT_IN})


@dataclass(frozen=True)
class Clocks:
    """When a request must be confirmed and answered, and how far its answer may be put off."""

    answer: datetime
    confirm: datetime | None = None
    """None where no law asks for a confirmation of receipt."""
    extended: datetime | None = None
    """The due time after an extension; None when the law knows none."""


def ended_by_opt_in(regime: Regime) -> tuple[Right, ...]:
    """What an opt-in ends. Under CCPA, and without a law, it is about sale and sharing: `sale:opt-in` of an agent.

    An objection is a right of GDPR (article 21): who consents to a sale has not taken it back, nor could an agent whom
    the person has authorised under CCPA do that for them.
    """
    gdpr = regime in {Regime.GDPR, Regime.GDPR_AND_CCPA}
    return (Right.OPT_OUT, Right.OBJECTION) if gdpr else (Right.OPT_OUT,)


@cache
def _free_days(country: str, subdivision: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=[year]))


def is_business_day(day: date, country: str = "US", subdivision: str = "CA") -> bool:
    """Whether offices work on a day: neither weekend nor public holiday there."""
    return day.weekday() < _SATURDAY and day not in _free_days(country, subdivision, day.year)


def business_days_later(moment: datetime, count: int) -> datetime:
    """The same time of day `count` Californian business days on; the day of receipt does not count."""
    local = moment.astimezone(_CALIFORNIA)  # summer time may begin or end meanwhile: the clock there counts
    while count:
        local += timedelta(days=1)
        count -= is_business_day(local.date())
    return local.astimezone(moment.tzinfo)


def _gdpr(_right: Right, received: datetime) -> Clocks:
    """GDPR article 12(3): one month, two more when the person is told why within the first.

    Regulation 1182/71 article 3(4) would let a last day that is free move on; the earlier date is the stricter one.
    """
    answer = months_later(received, GDPR_MONTHS)
    return Clocks(answer, extended=months_later(received, GDPR_EXTENDED_MONTHS))


def _ccpa(right: Right, received: datetime) -> Clocks:
    """11 CCR 7021 (know, delete, correct) and 7026(f) (opt-out: no verification, no extension)."""
    if right in _OPTING:
        return Clocks(business_days_later(received, CCPA_OPT_OUT_DAYS))
    confirm = business_days_later(received, CCPA_CONFIRM_DAYS)
    return Clocks(received + CCPA_DAYS, confirm, received + CCPA_EXTENDED_DAYS)


_LAWS: dict[Regime, tuple[Callable[[Right, datetime], Clocks], ...]] = {
    Regime.GDPR: (_gdpr,),
    Regime.CCPA: (_ccpa,),
    Regime.GDPR_AND_CCPA: (_gdpr, _ccpa),
    Regime.VOLUNTARY: (_gdpr,),  # what the policy promises to everybody
}


def clocks(right: Right, regime: Regime, received: datetime) -> Clocks:
    """The clocks of a request: of each kind the earliest that a law sets."""
    found = [law(right, received) for law in _LAWS[regime]]
    answers = [one.answer for one in found]
    extendable = all(one.extended is not None for one in found)
    return Clocks(
        answer=min(answers),
        confirm=_earliest(one.confirm for one in found),
        extended=_earliest(one.extended for one in found) if extendable else None,
    )


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((one for one in moments if one is not None), default=None)


def extended(right: Right, regime: Regime, received: datetime, now: datetime) -> datetime:
    """The due time after an extension whose notice goes out now.

    Raises:
        DomainError: EXTENSION_NOT_ALLOWED; the law knows none, or the time in which the person must be told is over.
    """
    found = clocks(right, regime, received)
    if found.extended is None or now > found.answer:
        raise DomainError(Reason.EXTENSION_NOT_ALLOWED)
    return found.extended


def confirms_by_answering(door: str, parent_id: str = "") -> bool:
    """Whether a door tells the person that the request has come by answering it.

    11 CCR 7021(a): receipt may be confirmed in the same manner in which the request was received. A request that
    continues another was confirmed with that one.
    """
    return bool(parent_id) or door not in _SILENT_DOORS


def reached(received: datetime, due: datetime, now: datetime) -> int:
    """The highest of `ALERTS` that a clock has reached, 0 for none."""
    share = 100 if now >= due else int((now - received) / (due - received) * 100)
    return max((percent for percent in ALERTS if share >= percent), default=0)
