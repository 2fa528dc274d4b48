"""The index of the API log: its SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from igstats_kit.clock import Clock
from igstats_kit.fence import admit
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.tables import restrictions, tombstones
from sqlalchemy import ColumnElement, select, tuple_

from igstats_audit.call_query import Bookmark, Found, Scan
from igstats_audit.model import Place
from igstats_audit.tables import calls

SERVICE = "audit"
_COLUMNS = (calls.c.called_at, calls.c.call_id, calls.c.index, calls.c.day, calls.c.subject_token)
_NEWEST = (calls.c.called_at.desc(), calls.c.call_id.desc())
_FENCES = (restrictions, tombstones)


class CallStore:
    """Finds calls, and writes down that somebody looked."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, scan: Scan) -> Sequence[Found]:
        """Finds calls, newest first, none of a fenced person.

        Raises:
            DomainError: SUBJECT_ERASED, SUBJECT_RESTRICTED: the scan asks for one account, and that is fenced.
        """
        query = select(*_COLUMNS).where(*_fitting(scan)).order_by(*_NEWEST).limit(scan.limit)
        async with self._database.read() as connection:
            if scan.token is not None:
                await admit(connection, [scan.token])
            rows = await connection.execute(query)
            return [Found(Bookmark(row.called_at, row.call_id), Place(*row[2:4]), row.subject_token) for row in rows]

    async def note(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Writes an audit record, durable when it returns."""
        async with self._database.transaction() as connection:
            await record(connection, SERVICE, kind, payload, now=self._clock.now())


def _fitting(scan: Scan) -> list[ColumnElement[bool]]:
    wanted = scan.wanted
    found: list[ColumnElement[bool]] = [calls.c.day >= scan.since, *_whose(scan)]
    if wanted.call_id:
        found.append(calls.c.call_id == wanted.call_id)
    if wanted.start_time is not None:
        found.append(calls.c.called_at >= wanted.start_time)
    if wanted.end_time is not None:
        found.append(calls.c.called_at < wanted.end_time)
    if wanted.status is not None:
        found.append(calls.c.status == wanted.status)
    if scan.after is not None:
        found.append(tuple_(calls.c.called_at, calls.c.call_id) < scan.after)
    return found


def _whose(scan: Scan) -> list[ColumnElement[bool]]:
    if scan.token is not None:
        return [calls.c.subject_token == scan.token]
    return [~select(fence.c.token).where(fence.c.token == calls.c.subject_token).exists() for fence in _FENCES]
