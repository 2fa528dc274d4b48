"""Errors that only this service raises, each in one place."""

from igstats_kit.errors import DomainError, Reason, Violation


def request_not_found() -> DomainError:
    """No such request, or it is another account's: the answer is the same."""
    return DomainError(Reason.REQUEST_NOT_FOUND)


def holder_unknown(holder: str) -> DomainError:
    """No holder is registered under this name."""
    return DomainError(Reason.HOLDER_UNKNOWN, holder=holder)


def ledger_behind() -> DomainError:
    """The erasure ledger lacks what a holder has applied: this database was restored from an older backup."""
    return DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="ledger")


def task_not_owned(holder: str) -> DomainError:
    """A holder acted for another holder, or for a task that is not its own."""
    return DomainError(Reason.TASK_NOT_OWNED, holder=holder)


def field_invalid(field: str, description: str) -> DomainError:
    """A field breaks a rule that its proto cannot state."""
    return DomainError(Reason.FIELD_INVALID, violations=[Violation(field, description)])
