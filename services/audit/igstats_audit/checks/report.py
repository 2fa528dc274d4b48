"""What checks say, and the report that they make together; pure."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How bad a finding is."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "PASSED"
    FOUND = "FOUND"
    NOT_POSSIBLE = "NOT_POSSIBLE"


class NotPossibleError(Exception):
    """A check cannot look; the text says why and what to do, without a personal value."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: where, what to do in words, and what was seen as name=value. Never a personal value."""

    severity: Severity
    place: str
    detail: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a check saw. `blind` names what it could not see: then finding nothing is not passing."""

    scope: str
    findings: Sequence[Finding] = ()
    blind: Sequence[str] = ()


Look = Callable[[], Awaitable[Looked]]
"""Looks; raises NotPossibleError when it cannot."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One named check of an audit."""

    name: str
    outcome: Outcome
    scope: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One security audit."""

    audit_id: str
    started_at: datetime
    finished_at: datetime
    checks: tuple[CheckReport, ...]

    @property
    def findings(self) -> list[Finding]:
        """The findings of all checks."""
        return [finding for check in self.checks for finding in check.findings]

    @property
    def worst(self) -> Severity | None:
        """The worst severity found, None when nothing was found."""
        return max((finding.severity for finding in self.findings), default=None)


def concluded(name: str, looked: Looked) -> CheckReport:
    """The report of a check that has looked."""
    outcome = Outcome.FOUND if looked.findings else Outcome.NOT_POSSIBLE if looked.blind else Outcome.PASSED
    scope = "; ".join([looked.scope, *(f"not looked at: {what}" for what in looked.blind)])
    return CheckReport(name, outcome, scope, tuple(looked.findings))


def evidence(**seen: object) -> tuple[str, ...]:
    """What was seen, one name=value each; times as UTC to the second."""
    return tuple(f"{name}={_text(value)}" for name, value in seen.items())


def _text(value: object) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
