"""The errors that stats raises. Reasons and public texts stand in igstats_kit.errors."""

from igstats_kit.errors import DomainError, Reason


class LeaseLostError(Exception):
    """The connection was ended, or another replica synchronises it: this one must stop writing."""


def profile_not_found() -> DomainError:
    """No such profile among those that the account may read."""
    return DomainError(Reason.PROFILE_NOT_FOUND)


def subject_restricted() -> DomainError:
    """The profile's owner restricted processing: stored, not used."""
    return DomainError(Reason.SUBJECT_RESTRICTED)


def subject_opted_out() -> DomainError:
    """The profile's owner objects to disclosure, or has opted out of sale and sharing."""
    return DomainError(Reason.SUBJECT_OPTED_OUT)


def connection_not_found() -> DomainError:
    """No such connection of the account."""
    return DomainError(Reason.CONNECTION_NOT_FOUND)


def metric_unknown(metric: str) -> DomainError:
    """The name is not in the catalogue of daily metrics."""
    return DomainError(Reason.METRIC_UNKNOWN, metric=metric)


def time_range_invalid(limit_days: int) -> DomainError:
    """The range of days is empty, reversed or too long."""
    return DomainError(Reason.TIME_RANGE_INVALID, limit_days=str(limit_days))


def page_token_invalid() -> DomainError:
    """The page token is not ours or belongs to another query."""
    return DomainError(Reason.PAGE_TOKEN_INVALID)


def token_dead() -> DomainError:
    """Instagram refuses the token; the owner must connect again."""
    return DomainError(Reason.INSTAGRAM_TOKEN_DEAD)


def throttled(regain_minutes: int) -> DomainError:
    """Instagram wants no calls for `regain_minutes`."""
    minutes = str(regain_minutes)
    return DomainError(Reason.INSTAGRAM_THROTTLED, retry_after=regain_minutes * 60.0, regain_minutes=minutes)


def unavailable() -> DomainError:
    """Instagram does not answer, or only with transient errors."""
    return DomainError(Reason.INSTAGRAM_UNAVAILABLE)


def refused(code: int) -> DomainError:
    """Instagram refused the call for good."""
    return DomainError(Reason.INSTAGRAM_REFUSED, code=str(code))
