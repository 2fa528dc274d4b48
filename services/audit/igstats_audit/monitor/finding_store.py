"""The SQL of findings: each thing once, and told to the evidence log in the commit that first keeps it."""

from collections.abc import Collection, Sequence
from datetime import datetime

from igstats_kit.record import record
from igstats_kit.sql import Database
from sqlalchemy import RowMapping, select, text
from ulid import ULID

from igstats_audit.finding_tables import findings
from igstats_audit.model import Log
from igstats_audit.monitor.model import Finding, FindingKind, Observation

RAISED = "finding.raised"

_SAVE = text(
    "INSERT INTO findings AS f (finding_id, log, kind, place, detail, found_at, seen_at)"
    " SELECT n.*, CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM unnest(CAST(:ids AS text[]),"
    " CAST(:logs AS text[]), CAST(:kinds AS text[]), CAST(:places AS text[]), CAST(:details AS text[])) AS n"
    " ON CONFLICT (log, kind, place) DO UPDATE SET seen_at = greatest(f.seen_at, excluded.seen_at),"
    " detail = excluded.detail RETURNING f.*"
)
_LOOKED = text(
    "INSERT INTO monitor_looks AS l (log, looked_at) VALUES (:log, :now)"
    " ON CONFLICT (log) DO UPDATE SET looked_at = greatest(l.looked_at, excluded.looked_at)"
)


class SqlFindings:
    """Keeps findings in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, observations: Collection[Observation], now: datetime) -> Sequence[Finding]:
        """Keeps what was seen, each thing once, and puts the new ones on their way to the evidence log.

        Returns the new ones.
        """
        distinct = sorted(dict.fromkeys(observations), key=lambda one: (one.log, one.kind, one.place))
        if not distinct:
            return []
        ids = [f"fnd_{ULID()}".lower() for _ in distinct]
        binds = {
            "now": now,
            "ids": ids,
            "logs": [one.log.value for one in distinct],
            "kinds": [one.kind.value for one in distinct],
            "places": [one.place for one in distinct],
            "details": [one.detail for one in distinct],
        }
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_SAVE, binds)).mappings()
            new = [_finding(row) for row in rows if row["finding_id"] in ids]
            for finding in new:
                await record(connection, "audit", RAISED, _told(finding), now=now)
        return new

    async def looked(self, log: Log, now: datetime) -> None:
        """Notes that all of a log was looked at, for the security audit, which cannot read the monitor's memory."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOOKED, {"log": log.value, "now": now})

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
