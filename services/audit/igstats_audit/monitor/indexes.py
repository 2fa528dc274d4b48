"""Checks what leads to entries: the day that they stand in, and the rows of entry_ids and calls, there and back.

They are not in the tree. Whoever changes them hides a receipt from a person's archive, or a call from its search and
from its erasure. What may differ: a call whose content was withheld has no row, an erasure takes rows and data key
together, and of a person who is erased a hold may keep either.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from igstats_audit.model import Log
from igstats_audit.monitor.leaves import runs
from igstats_audit.monitor.model import (
    EntryRow,
    FindingKind,
    IndexRow,
    Observation,
    Opening,
    OpeningState,
    StrayState,
)
from igstats_audit.monitor.scene import Scene

MOST_STRAYS = 20_000  # more than are told at the same time, so that it is said how many are left
_TABLES = {Log.EVIDENCE: "entry_ids", Log.ACCESS: "calls"}
_CONTENT = frozenset({StrayState.DROPPED, StrayState.ERASED})


def misplaced(scene: Scene, rows: Sequence[EntryRow]) -> Iterator[Observation]:
    """Rows that stand in another day than log_days says: who reads the log does not look for them there."""
    wrong = [row.index for row in rows if row.day is not None and scene.rows.day(row.index) not in {None, row.day}]
    for run in runs(wrong):
        place = f"entry {run[0]}" if len(run) == 1 else f"entries {run[0]}..{run[-1]}"
        yield Observation(scene.rows.log, FindingKind.LEAF_CHANGED, place, "its day is not that of log_days")


async def check_leads(scene: Scene, rows: Sequence[EntryRow], openings: Sequence[Opening]) -> None:
    """Checks that the index leads to each entry of a block that it must lead to."""
    if scene.rows.log is Log.EVIDENCE:
        await _check_ids(scene, [row for row in rows if row.entry_id is not None])
        return
    calls = {row.index: said for row, opening in zip(rows, openings, strict=True) if (said := _call(opening))}
    await _check_calls(scene, [row for row in rows if row.index in calls], calls)


async def check_strays(scene: Scene) -> None:
    """Checks that each row of the index leads to an entry that it may lead to; of a great many the first.

    Whoever leads to an entry whose own row is missing is right. In a forked log everything leads to another history.
    """
    if scene.has(FindingKind.FORK):
        return
    count, table = 0, _TABLES[scene.rows.log]
    async for stray in scene.rows.strays():
        if stray.state is StrayState.MISSING and any(stray.index in run for run in scene.absent):
            continue
        count += 1
        if count > MOST_STRAYS:
            return
        kind = FindingKind.PAYLOAD_CHANGED if stray.state in _CONTENT else FindingKind.LEAF_CHANGED
        scene.tell(kind, f"entry {stray.index}", f"a row of {table} leads to it: {stray.state}")


async def _check_ids(scene: Scene, rows: Sequence[EntryRow]) -> None:
    leads = {lead.name: lead for lead in await scene.rows.leading([row.entry_id or "" for row in rows], set())}
    for row in rows:
        _tell(scene, row, list(_wrong_id(row, leads.get(row.entry_id or ""))))


def _wrong_id(row: EntryRow, lead: IndexRow | None) -> Iterator[str]:
    if lead is None:
        yield "is missing"
        return
    same = {
        "index": lead.index == row.index,
        "day": lead.day == row.day,
        "request_id": lead.request_id == row.request_id,
    }
    yield from (f"has another {name}" for name, right in same.items() if not right)


async def _check_calls(scene: Scene, rows: Sequence[EntryRow], calls: Mapping[int, Mapping[str, Any]]) -> None:
    names = [calls[row.index]["call_id"] for row in rows]
    found = await scene.rows.leading(names, {row.day for row in rows if row.day is not None})
    leads = {(lead.name, lead.day): lead for lead in found}
    # Asked last: an erasure meanwhile took the key, too.
    standing = await scene.rows.standing({row.key_id for row in rows})
    for row in [row for row in rows if row.key_id in standing]:
        said = calls[row.index]
        lead = leads.get((said["call_id"], row.day)) if row.day is not None else None
        if lead is None or not await _is_of_another(scene, said["call_id"], lead, row):
            _tell(scene, row, list(_wrong_call(row, said, lead, standing[row.key_id])))


def _wrong_call(row: EntryRow, said: Mapping[str, Any], lead: IndexRow | None, subject: str) -> Iterator[str]:
    if lead is None:
        yield "is missing"
        return
    same = {
        "index": lead.index == row.index,
        "subject_token": lead.subject == subject,
        "called_at": lead.called_at == said["called_time"],
        "status": lead.status == said["status"],
    }
    yield from (f"has another {name}" for name, right in same.items() if not right)


async def _is_of_another(scene: Scene, name: str, lead: IndexRow, row: EntryRow) -> bool:
    """Whether an earlier entry is the same call: a call that came twice has one row, which leads to the first."""
    if lead.index >= row.index:
        return False
    earlier = await scene.rows.entries(lead.index, lead.index + 1)
    said = [_call(opening) for opening in await scene.rows.open(earlier)]
    return any(one is not None and one["call_id"] == name for one in said)


def _call(opening: Opening) -> Mapping[str, Any] | None:
    """What an entry says that its row of calls repeats; None when it is not open, or no call."""
    if opening.state is not OpeningState.OPENED:
        return None
    with suppress(ValueError, KeyError, TypeError):
        said = json.loads(opening.payload)
        moment = datetime.fromisoformat(said["called_time"])
        return {"call_id": str(said["call_id"]), "called_time": moment, "status": said["status"]}
    return None


def _tell(scene: Scene, row: EntryRow, wrong: Sequence[str]) -> None:
    if wrong:
        words = f"its row of {_TABLES[scene.rows.log]} {', '.join(wrong)}"
        scene.tell(FindingKind.LEAF_CHANGED, f"entry {row.index}", words)
