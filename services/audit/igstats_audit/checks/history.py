"""What is kept of a security audit beside its entry in the evidence log; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from igstats_audit.checks.report import Severity


@dataclass(frozen=True, slots=True)
class Signed:
    """What a checkpoint says of a log."""

    size: int
    root: bytes

    @property
    def words(self) -> str:
        """Size and root, as the scope of a report keeps them."""
        return f"size {self.size} root {self.root.hex()}"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The logs as an audit left them."""

    audit_id: str
    logs: Mapping[str, Signed]


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list of audits says: the logs as the newest audit left them that saw any; whether it names an audit.

    `unlisted` counts the audits that the evidence log names and the list does not: each that was killed in between.
    """

    logs: Mapping[str, Signed]
    audits: int
    named: bool
    unlisted: int


@dataclass(frozen=True, slots=True)
class StoredAudit:
    """How an audit ended, where its report is, and the logs as it saw them."""

    audit_id: str
    started_at: datetime
    finished_at: datetime
    finding_count: int
    worst: Severity | None
    index: int
    logs: Mapping[str, Signed]
