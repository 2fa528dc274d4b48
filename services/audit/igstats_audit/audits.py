"""Security audits: a run of all named checks, written into the evidence log, and found again with its proof."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from ulid import ULID

from igstats_audit.checks.catalogue import CHECKS
from igstats_audit.checks.history import Signed, StoredAudit
from igstats_audit.checks.report import CheckReport, Look, NotPossibleError, Outcome, Report, Severity, concluded
from igstats_audit.model import Acknowledgement, Appended, Entry, NewEntry
from igstats_audit.telemetry import SECURITY_CHECKS, SECURITY_FINDINGS

FINISHED = "security_audit.finished"
PAGE_DEFAULT = 50
PAGE_LIMIT = 500
_PRODUCER = "audit"
_CHECK_SECONDS = 60.0
_FIRST_SECONDS = 60.0  # what the checks look at has just been started, too
_LOOK_SECONDS = 600.0
_RETRY_SECONDS = 5.0

_log = get_logger()


@dataclass(frozen=True, slots=True)
class ProvedAudit:
    """The report of an audit as the evidence log holds it, with its proof."""

    entry: Entry
    acknowledgement: Acknowledgement
    checkpoint: str


class AuditStore(Protocol):
    """Where audits are listed."""

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Whether no other process audits while the block runs."""
        ...

    async def add(self, audit: StoredAudit) -> None:
        """Keeps an audit."""
        ...

    async def find(self, audit_id: str) -> StoredAudit | None:
        """Reads an audit; an empty id means the newest."""
        ...

    async def page(self, before: str, limit: int) -> Sequence[StoredAudit]:
        """Audits, the newest first, older than the one with an id if one is given."""
        ...

    async def logs(self) -> Mapping[str, Signed]:
        """The logs as the last audit left them that saw any."""
        ...


class Baseline(Protocol):
    """What the next audit will compare the logs with."""

    @property
    def seen(self) -> Mapping[str, Signed]:
        """The logs as the check of their consistency left them; empty when it could not look."""
        ...

    async def keep(self, audit_id: str) -> None:
        """Leaves it outside of the database, too, when the audit is in the list."""
        ...


class EvidenceLog(Protocol):
    """The evidence log as an audit uses it."""

    async def entry(self, index: int) -> Entry:
        """One entry with its opening."""
        ...

    async def inclusion(self, index: int, size: int) -> tuple[Sequence[bytes], int, str]:
        """Path, tree size, and the checkpoint of that size if it is the newest. Size 0 means the newest."""
        ...


Append = Callable[[Sequence[NewEntry]], Awaitable[Appended]]
Write = Callable[[Report], bytes]
"""The report as its entry holds it."""


class Audits:
    """Runs checks and keeps what they found."""

    def __init__(
        self,
        looks: Mapping[str, Look],
        store: AuditStore,
        append: Append,
        log: EvidenceLog,
        write: Write,
        baseline: Baseline,
        clock: Clock,
        *,
        interval: timedelta,
    ) -> None:
        if set(looks) != set(CHECKS):
            raise ValueError(f"checks and catalogue differ: {sorted(set(looks) ^ set(CHECKS))}")
        self._looks = looks
        self._store = store
        self._append = append
        self._log = log
        self._write = write
        self._baseline = baseline
        self._clock = clock
        self._interval = interval

    async def run(self) -> None:
        """Audits whenever the last audit of any process is an interval old, until cancelled."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            try:
                await self.audit_when_due()
            except DomainError as error:
                _log.warning("security audit waits", reason=error.reason)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await asyncio.sleep(min(_LOOK_SECONDS, self._interval.total_seconds()))

    async def audit_when_due(self) -> Report | None:
        """Audits if it is time and nobody else does.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        if not await self._due():
            return None
        async with self._store.alone() as alone:
            return await self._audit() if alone and await self._due() else None

    async def audit(self) -> Report:
        """Audits now.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; also while another audit runs.
        """
        async with self._store.alone() as alone:
            if not alone:
                raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, retry_after=_RETRY_SECONDS, dependency="audit")
            return await self._audit()

    async def get(self, audit_id: str) -> ProvedAudit:
        """The report of an audit with its proof; an empty id means the newest.

        Raises:
            DomainError: SECURITY_AUDIT_NOT_FOUND; ENTRY_CUT.
        """
        found = await self._store.find(audit_id)
        if found is None:
            raise DomainError(Reason.SECURITY_AUDIT_NOT_FOUND)
        path, _, checkpoint = await self._log.inclusion(found.index, 0)
        entry = await self._log.entry(found.index)
        return ProvedAudit(entry, Acknowledgement(entry.entry_id, entry.index, path), checkpoint)

    async def page(self, page_size: int, page_token: str) -> tuple[Sequence[StoredAudit], str]:
        """Audits, the newest first, and the token of the next page, which is empty at the end."""
        size = min(page_size or PAGE_DEFAULT, PAGE_LIMIT)
        found = await self._store.page(page_token, size + 1)
        return found[:size], found[size - 1].audit_id if len(found) > size else ""

    async def _due(self) -> bool:
        last = await self._store.find("")
        return last is None or self._clock.now() - last.finished_at >= self._interval

    async def _audit(self) -> Report:
        """Runs all checks. The entry comes first: killed before the row, an audit is in the log and not in the list."""
        started = self._clock.now()
        checks = [await _checked(name, self._looks[name]) for name in sorted(self._looks)]
        report = Report(f"sec_{ULID()}".lower(), started, self._clock.now(), tuple(checks))
        payload = self._write(report)
        entry = NewEntry(report.audit_id, FINISHED, "", _PRODUCER, payload, report.finished_at)
        appended = await self._append([entry])
        logs = self._baseline.seen or await self._store.logs()
        await self._store.add(_stored(report, appended.acknowledgements[0].index, logs))
        await self._baseline.keep(report.audit_id)
        _tell(report)
        return report


async def _checked(name: str, look: Look) -> CheckReport:
    """Runs a check; whatever keeps it from looking becomes its outcome, and never that of the audit."""
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return concluded(name, await look())
    except NotPossibleError as error:
        why = str(error)
    except DomainError as error:
        why = " ".join([error.reason, *error.metadata.values()])
    except TimeoutError:
        why = f"took longer than {_CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a check that fails must not hide what the others see
        _log.warning("check could not look", step=name, exc_info=error)
        why = f"failed with {type(error).__name__}: see the log of audit"
    return CheckReport(name, Outcome.NOT_POSSIBLE, why)


def _stored(report: Report, index: int, logs: Mapping[str, Signed]) -> StoredAudit:
    return StoredAudit(
        audit_id=report.audit_id,
        started_at=report.started_at,
        finished_at=report.finished_at,
        finding_count=len(report.findings),
        worst=report.worst,
        index=index,
        logs=logs,
    )


def _tell(report: Report) -> None:
    for severity in Severity:
        count = sum(finding.severity is severity for finding in report.findings)
        SECURITY_FINDINGS.labels(severity=severity.name).set(count)
    for check in report.checks:
        SECURITY_CHECKS.labels(check=check.name, outcome=check.outcome).inc()
    outcome = report.worst.name if report.worst is not None else "NONE"
    _log.info("security audit finished", record=report.audit_id, count=len(report.findings), outcome=outcome)
