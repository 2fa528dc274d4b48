"""The SQL of findings: a list that says what the monitor knows, and tells the evidence log what is new."""

from collections.abc import Collection, Sequence
from datetime import datetime

from igstats_kit.record import record
from igstats_kit.sql import Database
from sqlalchemy import RowMapping, select, text

from igstats_audit.finding_tables import findings, monitor_looks
from igstats_audit.model import Log
from igstats_audit.monitor.model import Finding, FindingKind, Observation

RAISED = "finding.raised"

_SEEN = (
    "unnest(CAST(:ids AS text[]), CAST(:logs AS text[]), CAST(:kinds AS text[]), CAST(:places AS text[]),"
    " CAST(:details AS text[]), CAST(:found AS timestamptz[]), CAST(:seen AS timestamptz[]))"
    " AS n (finding_id, log, kind, place, detail, found_at, seen_at)"
)
_ALIENS = text(
    f"DELETE FROM findings f USING {_SEEN} WHERE f.finding_id = n.finding_id"  # noqa: S608 - own words
    " AND (f.log, f.kind, f.place) <> (n.log, n.kind, n.place)"
)
_SAVE = text(
    "INSERT INTO findings (finding_id, log, kind, place, detail, found_at, seen_at)"  # noqa: S608 - own words
    f" SELECT * FROM {_SEEN} ON CONFLICT (log, kind, place) DO UPDATE SET finding_id = excluded.finding_id,"
    " detail = excluded.detail, found_at = excluded.found_at, seen_at = excluded.seen_at"
)
_LOOKED = text(
    "INSERT INTO monitor_looks AS l (log, looked_at) VALUES (:log, :now)"
    " ON CONFLICT (log) DO UPDATE SET looked_at = greatest(l.looked_at, excluded.looked_at)"
)


class SqlFindings:
    """Keeps findings in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, seen: Collection[Finding], new: Collection[Finding]) -> None:
        """Has the list say what was seen, each thing once, and puts what is new on its way to the evidence log.

        The list follows the monitor: whatever somebody else has written there under a name or an id of ours goes.
        """
        if not seen:
            return
        places = [one.observation for one in seen]
        binds = {
            "ids": [one.finding_id for one in seen],
            "logs": [one.log.value for one in places],
            "kinds": [one.kind.value for one in places],
            "places": [one.place for one in places],
            "details": [one.detail for one in places],
            "found": [one.found_at for one in seen],
            "seen": [one.seen_at for one in seen],
        }
        async with self._database.transaction() as connection:
            await connection.execute(_ALIENS, binds)
            await connection.execute(_SAVE, binds)
            for finding in new:
                await record(connection, "audit", RAISED, _told(finding), now=finding.found_at)

    async def looked(self, log: Log, now: datetime) -> None:
        """Notes that all of a log was looked at, for the security audit, which cannot read the monitor's memory."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOOKED, {"log": log.value, "now": now})

    async def looked_at(self, log: Log) -> datetime | None:
        """When all of a log was last looked at."""
        wanted = select(monitor_looks.c.looked_at).where(monitor_looks.c.log == log)
        async with self._database.read() as connection:
            return (await connection.execute(wanted)).scalar_one_or_none()

    async def page(self, before: str, limit: int) -> Sequence[Finding]:
        """Findings, the newest first, older than the one with an id if one is given."""
        wanted = select(findings).order_by(findings.c.finding_id.desc()).limit(limit)
        if before:
            wanted = wanted.where(findings.c.finding_id < before)
        async with self._database.read() as connection:
            return [_finding(row) for row in (await connection.execute(wanted)).mappings()]


def _finding(row: RowMapping) -> Finding:
    seen = Observation(Log(row["log"]), FindingKind(row["kind"]), row["place"], row["detail"])
    return Finding(row["finding_id"], seen, row["found_at"], row["seen_at"])


def _told(finding: Finding) -> dict[str, str]:
    seen = finding.observation
    told = {"log": seen.log.value, "kind": seen.kind.value, "place": seen.place, "detail": seen.detail}
    return {"finding_id": finding.finding_id} | told
