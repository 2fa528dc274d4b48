"""SQL of tasks and receipts. The state sets come from `lifecycle`; every statement serves a whole batch.

Whoever changes tasks locks their requests first (`store.lock`), so that no two batches miss each other's settlements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from igstats_kit.outbox import post, post_binds, posting
from igstats_kit.sql import Row, fetch
from sqlalchemy import text

from igstats_privacy.events import Fact
from igstats_privacy.hold_store import HELD
from igstats_privacy.lifecycle import FINAL, LEASABLE, PHASES, SETTLEABLE, STOPPABLE, Progress, Step, after_offer
from igstats_privacy.model import (
    Cause,
    HolderWord,
    Outcome,
    Phase,
    Receipt,
    Regime,
    Right,
    State,
    Task,
    TaskKey,
    TaskState,
)
from igstats_privacy.store import Connection, drafted

# By value; a look-up is five times faster than calling the enum, and these are made for every task.
RIGHT, STATE, PHASE = Right.__members__, State.__members__, Phase.__members__

_PLAN = text(
    "WITH planned AS (INSERT INTO tasks (request_id, holder, phase, step, state, created_at)"
    " SELECT p.request_id, h.holder, p.phase, p.step, 'PLANNED', CAST(:now AS timestamptz)"
    " FROM unnest(CAST(:requests AS text[]), CAST(:phases AS text[]), CAST(:steps AS smallint[]))"
    " AS p(request_id, phase, step) CROSS JOIN holders h"
    " WHERE CAST(:holder AS text) IS NULL OR h.holder = CAST(:holder AS text) ON CONFLICT DO NOTHING RETURNING 1)"
    " SELECT count(*) FROM planned"
)
# The figures of `lifecycle.Progress`, over requests r and their tasks t; what stands before them says which tasks.
_FIGURES = (
    "f AS (SELECT t.request_id, min(t.step) FILTER (WHERE t.state <> 'SETTLED') AS step,"  # noqa: S608 - only our own constants are put in
    " min(t.step) FILTER (WHERE t.state = 'PLANNED') AS planned_step,"
    " array_agg(t.phase || ' ' || t.holder) FILTER (WHERE t.state = 'PLANNED') AS planned,"
    " bool_or(t.state = 'BLOCKED') AS has_blocked, bool_or(t.outcome = 'RETAINED') AS retained,"
    " count(*) FILTER (WHERE t.phase = 'ATTEST') AS attesting, max(t.effective_at) AS effective_at"
    " FROM now t GROUP BY t.request_id)"
    " SELECT r.request_id, r.right, r.state, r.blocked, f.step, f.planned_step, f.planned, f.effective_at,"
    " coalesce(f.has_blocked, false) AS has_blocked, coalesce(f.retained, false) AS retained,"
    " coalesce(f.attesting, 0) AS attesting, (SELECT count(*) FROM holders) AS holders,"
    f" (SELECT array_agg(holder) FROM holders WHERE NOT enabled) AS stopped, {HELD.format(request_id='r.request_id')}"
    " AS held FROM requests r"
)
_PROGRESS = text(
    f"WITH now AS (SELECT * FROM tasks WHERE request_id = ANY(CAST(:ids AS text[]))), {_FIGURES}"  # noqa: S608 - only our own constants are put in
    " LEFT JOIN f USING (request_id) WHERE r.request_id = ANY(CAST(:ids AS text[]))"
)
_ADVANCE = text(
    "WITH offered AS (UPDATE tasks t SET state = o.state, cause = o.cause, offers = t.offers + 1, offered_at = :now,"  # noqa: S608 - only our own constants are put in
    " first_offered_at = coalesce(t.first_offered_at, CAST(:now AS timestamptz)), offer_again_at = :again"
    " FROM unnest(CAST(:requests AS text[]), CAST(:holders AS text[]), CAST(:phases AS text[]),"
    " CAST(:offered AS text[]), CAST(:causes AS text[])) AS o(request_id, holder, phase, state, cause)"
    " WHERE t.request_id = o.request_id AND t.holder = o.holder AND t.phase = o.phase AND t.state = 'PLANNED'),"
    " stepped AS (UPDATE requests r SET state = n.state, blocked = n.blocked,"
    " effective_at = coalesce(n.effective_at, r.effective_at),"
    " closed_at = CASE WHEN n.closed THEN CAST(:now AS timestamptz) END"
    " FROM unnest(CAST(:ids AS text[]), CAST(:states AS text[]), CAST(:blocked AS boolean[]),"
    " CAST(:effective AS timestamptz[]), CAST(:closed AS boolean[]))"
    " AS n(request_id, state, blocked, effective_at, closed) WHERE r.request_id = n.request_id),"
    " forgotten AS (DELETE FROM request_identifiers WHERE request_id = ANY(CAST(:ended AS text[]))),"
    f" {posting()} SELECT event_id, sequence FROM posted"
)
_KEEP = text(
    "INSERT INTO receipts (request_id, holder, phase, digest, receipt, signature, key_id, received_at)"
    " SELECT g.*, CAST(:now AS timestamptz) FROM unnest("
    "CAST(:requests AS text[]), CAST(:holders AS text[]), CAST(:phases AS text[]), CAST(:digests AS bytea[]),"
    " CAST(:receipts AS bytea[]), CAST(:signatures AS bytea[]), CAST(:key_ids AS text[])) AS g ON CONFLICT DO NOTHING"
)
# A statement does not see what it writes itself: the figures come from the tasks as they were, overlaid by the changes.
_SETTLE = text(
    "WITH given AS (SELECT * FROM unnest("  # noqa: S608 - only our own constants are put in
    "CAST(:requests AS text[]), CAST(:holders AS text[]), CAST(:phases AS text[]), CAST(:states AS text[]),"
    " CAST(:causes AS text[]), CAST(:outcomes AS text[]), CAST(:effective AS timestamptz[]), CAST(:digests AS bytea[]),"
    " CAST(:receipts AS bytea[]), CAST(:signatures AS bytea[]), CAST(:key_ids AS text[]))"
    " AS g(request_id, holder, phase, state, cause, outcome, effective_at, digest, receipt, signature, key_id)),"
    " kept AS (INSERT INTO receipts (request_id, holder, phase, digest, receipt, signature, key_id, received_at)"
    " SELECT request_id, holder, phase, digest, receipt, signature, key_id, CAST(:now AS timestamptz) FROM given"
    " ON CONFLICT DO NOTHING),"
    " settled AS (UPDATE tasks t SET state = g.state, cause = g.cause, outcome = g.outcome, settled_at = :now,"
    " effective_at = g.effective_at, receipt_digest = g.digest, attempts = greatest(t.attempts, 1) FROM given g"
    " WHERE t.request_id = g.request_id AND t.holder = g.holder AND t.phase = g.phase"
    " AND t.state = ANY(CAST(:settleable AS text[]))"
    " RETURNING t.request_id, t.holder, t.phase, t.step, t.state, t.outcome, t.effective_at, t.offered_at),"
    " seen AS (UPDATE holders h SET seen_at = greatest(h.seen_at, CAST(:now AS timestamptz)),"
    " leased_through = greatest(h.leased_through, s.through)"
    " FROM (SELECT holder, max(offered_at) AS through FROM settled GROUP BY holder) s WHERE h.holder = s.holder),"
    # NOT IN is answered from a hash; an outer join with a part of the statement would compare every pair of rows.
    " now AS (SELECT request_id, holder, phase, step, state, outcome, effective_at FROM settled UNION ALL"
    " SELECT request_id, holder, phase, step, state, outcome, effective_at FROM tasks"
    " WHERE request_id IN (SELECT request_id FROM settled)"
    " AND (request_id, holder, phase) NOT IN (SELECT request_id, holder, phase FROM settled)),"
    f" {_FIGURES} JOIN f USING (request_id)"
)
_OF_REQUEST = text(
    "SELECT t.holder, t.phase, t.state, t.outcome, t.cause, t.attempts, t.settled_at, r.receipt FROM tasks t"
    " LEFT JOIN receipts r ON r.request_id = t.request_id AND r.holder = t.holder AND r.phase = t.phase"
    " AND r.digest = t.receipt_digest WHERE t.request_id = :request_id ORDER BY t.step, t.holder"
)
_LEASE = text(
    "WITH picked AS MATERIALIZED (SELECT k.* FROM unnest(CAST(:requests AS text[]), CAST(:phases AS text[]))"  # noqa: S608 - only our own constants are put in
    " AS a(request_id, phase) CROSS JOIN LATERAL (SELECT request_id, holder, phase FROM tasks WHERE holder = :holder"
    " AND request_id = a.request_id AND phase = a.phase AND (state = ANY(CAST(:leasable AS text[])) OR cause = 'LATE')"
    " AND EXISTS (SELECT FROM holders h WHERE h.holder = :holder AND h.enabled)"
    " FOR UPDATE SKIP LOCKED) k),"  # who holds one is settling it, or leasing it for a twin
    " leased AS (UPDATE tasks t SET attempts = t.attempts + 1,"
    " state = CASE WHEN t.state = 'BLOCKED' THEN t.state ELSE 'LEASED' END FROM picked p"
    " WHERE t.request_id = p.request_id AND t.holder = p.holder AND t.phase = p.phase"
    " RETURNING t.request_id, t.phase, t.attempts, t.offered_at),"
    " named AS (SELECT l.request_id, l.phase, l.attempts, r.right, r.regime, r.due_at, r.sealed,"
    f" {HELD.format(request_id='l.request_id')} AS held FROM leased l CROSS JOIN LATERAL"
    " (SELECT q.right, q.regime, q.due_at, i.sealed FROM requests q JOIN request_identifiers i USING (request_id)"
    " WHERE q.request_id = l.request_id OFFSET 0) r),"
    " seen AS (UPDATE holders SET seen_at = greatest(seen_at, CAST(:now AS timestamptz)),"
    " leased_through = greatest(leased_through, (SELECT max(offered_at) FROM leased))"
    " WHERE holder = :holder RETURNING holder)"
    " SELECT n.request_id, n.phase, n.right, n.regime, n.attempts, n.due_at, n.sealed, n.held"
    " FROM seen LEFT JOIN named n ON true"
)
_WORDS = text(
    "SELECT request_id, holder, outcome, receipt_digest FROM tasks"
    " WHERE request_id = ANY(CAST(:ids AS text[])) AND phase = 'ATTEST' ORDER BY request_id, holder"
)
_DUE = text(
    "SELECT t.request_id, t.holder, t.phase, t.offers FROM requests r JOIN tasks t USING (request_id)"
    " JOIN holders h USING (holder) WHERE r.closed_at IS NULL AND h.enabled AND t.offer_again_at <= :now"
    " AND (t.state = ANY(CAST(:leasable AS text[])) OR t.cause = 'LATE')"
    # A holder at work that has not come as far as this offer still has it in its queue: repeating it makes a storm.
    " AND NOT (h.seen_at > :alive AND t.offered_at > coalesce(h.leased_through, '-infinity'))"
    " ORDER BY t.offer_again_at LIMIT :limit FOR UPDATE OF t SKIP LOCKED"
)
_OFFER_AGAIN = text(
    "UPDATE tasks t SET offers = t.offers + 1, offered_at = :now, offer_again_at = g.again FROM unnest("
    "CAST(:requests AS text[]), CAST(:holders AS text[]), CAST(:phases AS text[]), CAST(:again AS timestamptz[]))"
    " AS g(request_id, holder, phase, again)"
    " WHERE t.request_id = g.request_id AND t.holder = g.holder AND t.phase = g.phase"
)
_TROUBLED = text(
    "SELECT DISTINCT t.request_id FROM requests r JOIN tasks t USING (request_id) JOIN holders h USING (holder)"
    " WHERE r.closed_at IS NULL AND t.state = ANY(CAST(:stoppable AS text[]))"
    " AND (NOT h.enabled OR t.first_offered_at <= :late)"
)
_BLOCK = text(
    "UPDATE tasks t SET state = 'BLOCKED', cause = CASE WHEN h.enabled THEN 'LATE' ELSE 'DISABLED' END FROM holders h"
    " WHERE t.request_id = ANY(CAST(:ids AS text[])) AND h.holder = t.holder"
    " AND t.state = ANY(CAST(:stoppable AS text[])) AND (NOT h.enabled OR t.first_offered_at <= :late)"
    " RETURNING t.request_id"
)
_RETRY = text(
    "UPDATE tasks SET state = 'PLANNED', cause = NULL, outcome = NULL, settled_at = NULL, effective_at = NULL,"
    " receipt_digest = NULL, first_offered_at = NULL"
    " WHERE request_id = ANY(CAST(:ids AS text[])) AND holder = :holder AND state = 'BLOCKED'"
    " AND (CAST(:phase AS text) IS NULL OR phase = CAST(:phase AS text))"
    " AND (CAST(:cause AS text) IS NULL OR cause = CAST(:cause AS text))"
    " RETURNING request_id"
)


def _planned(rights: Mapping[str, Right]) -> dict[str, list[Any]]:
    rows = [(name, phase, step) for name, right in rights.items() for step, phase in enumerate(PHASES[right])]
    return {
        "requests": [name for name, _, _ in rows],
        "phases": [phase for _, phase, _ in rows],
        "steps": [step for _, _, step in rows],
    }


async def plan(connection: Connection, rights: Mapping[str, Right], now: datetime, holder: str | None = None) -> int:
    """Writes the tasks of requests, for every registered holder or for one; returns how many are new."""
    [row] = await fetch(connection, _PLAN, _planned(rights) | {"holder": holder, "now": now})
    return int(row[0])


@dataclass(frozen=True)
class Stand:
    """A request with the progress of its tasks. `planned` says "<PHASE> <holder>" of each task not offered yet."""

    request_id: str
    right: Right
    state: State
    blocked: bool
    progress: Progress
    planned: Sequence[str]
    stopped: Sequence[str]
    held: bool

    def opening(self, phase: Phase) -> list[tuple[TaskKey, TaskState]]:
        """The planned tasks of a phase, and their states once it opens; BLOCKED where the holder is switched off."""
        holders = sorted(text.partition(" ")[2] for text in self.planned if text.startswith(f"{phase} "))
        return [
            (
                TaskKey(self.request_id, holder, phase),
                after_offer(TaskState.PLANNED, enabled=holder not in self.stopped),
            )
            for holder in holders
        ]


async def progress(connection: Connection, request_ids: Iterable[str]) -> dict[str, Stand]:
    """Where the tasks of requests stand; the same figures as `lifecycle.progress`."""
    return {row.request_id: _stand(row) for row in await fetch(connection, _PROGRESS, {"ids": list(request_ids)})}


def _stand(row: Row) -> Stand:
    right = RIGHT[row.right]
    done = Progress(
        phase=None if row.step is None else PHASES[right][row.step],
        planned=row.step is not None and row.planned_step == row.step,
        blocked=row.has_blocked,
        retained=row.retained,
        missing=row.attesting == 0 or row.attesting < row.holders,
        effective_at=row.effective_at,
    )
    return Stand(
        row.request_id, right, STATE[row.state], row.blocked, done, row.planned or (), row.stopped or (), row.held
    )


@dataclass(frozen=True)
class Advance:
    """What a batch of locked requests does next: tasks to open, new states, dates, and the facts to tell."""

    opened: Mapping[TaskKey, TaskState]
    again: datetime
    steps: Mapping[str, Step]
    effective: Mapping[str, datetime | None]
    facts: Sequence[Fact]


async def advance(connection: Connection, move: Advance, now: datetime) -> None:
    """Opens tasks, brings requests to their next states, destroys the names in those that ended, posts the facts."""
    steps, states = move.steps, move.opened.values()
    binds = _keys(move.opened) | {
        "offered": list(states),
        "causes": [Cause.DISABLED if state is TaskState.BLOCKED else None for state in states],
        "ids": list(steps),
        "states": [one.state for one in steps.values()],
        "blocked": [one.blocked for one in steps.values()],
        "effective": [move.effective.get(request_id) for request_id in steps],
        "closed": [one.state in FINAL for one in steps.values()],
        "ended": [request_id for request_id, one in steps.items() if one.state in FINAL],
    }
    posted = drafted(move.facts)
    rows = await fetch(connection, _ADVANCE, binds | post_binds(posted) | {"now": now, "again": move.again})
    post(connection, posted, rows)


@dataclass(frozen=True)
class Settlement:
    """What a receipt does to its task."""

    receipt: Receipt
    state: TaskState
    effective_at: datetime | None

    @property
    def cause(self) -> Cause | None:
        """Why the task is blocked, if it is."""
        return Cause.NEEDS_HUMAN if self.state is TaskState.BLOCKED else None


def _keys(tasks: Iterable[TaskKey]) -> dict[str, list[Any]]:
    keys = list(tasks)
    return {
        "requests": [key.request_id for key in keys],
        "holders": [key.holder for key in keys],
        "phases": [key.phase for key in keys],
    }


def _kept(receipts: Sequence[Receipt]) -> dict[str, list[Any]]:
    return _keys(receipt.task for receipt in receipts) | {
        "digests": [receipt.digest for receipt in receipts],
        "receipts": [receipt.raw for receipt in receipts],
        "signatures": [receipt.signature for receipt in receipts],
        "key_ids": [receipt.key_id for receipt in receipts],
    }


async def keep(connection: Connection, receipts: Sequence[Receipt], now: datetime) -> None:
    """Stores receipts as they came; the same receipt twice is one."""
    await connection.execute(_KEEP, _kept(receipts) | {"now": now})


async def settle(connection: Connection, settlements: Sequence[Settlement], now: datetime) -> dict[str, Stand]:
    """Stores receipts and ends their tasks; answers how the requests whose tasks changed stand now.

    What is settled stays as it is. There is one receipt per task.
    """
    binds = _kept([one.receipt for one in settlements]) | {
        "states": [one.state for one in settlements],
        "causes": [one.cause for one in settlements],
        "outcomes": [one.receipt.outcome for one in settlements],
        "effective": [one.effective_at for one in settlements],
    }
    rows = await fetch(connection, _SETTLE, binds | {"settleable": list(SETTLEABLE), "now": now})
    return {row.request_id: _stand(row) for row in rows}


async def of_request(connection: Connection, request_id: str) -> list[Task]:
    """The tasks of a request, by phase and holder."""
    rows = await connection.execute(_OF_REQUEST, {"request_id": request_id})
    return [
        Task(
            row.holder,
            Phase(row.phase),
            TaskState(row.state),
            Outcome(row.outcome) if row.outcome else None,
            Cause(row.cause) if row.cause else None,
            row.attempts,
            row.settled_at,
            row.receipt or b"",
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Leased:
    """A task just handed out, with the sealed names in its request."""

    task: TaskKey
    right: Right
    regime: Regime
    attempt: int
    due_at: datetime
    sealed: bytes
    held: bool


async def lease(connection: Connection, holder: str, tasks: Sequence[TaskKey], now: datetime) -> list[Leased] | None:
    """Hands out those of a holder's tasks that are offered and not settled; None when there is no such holder."""
    binds = {"requests": [key.request_id for key in tasks], "phases": [key.phase for key in tasks], "holder": holder}
    rows = await fetch(connection, _LEASE, binds | {"leasable": list(LEASABLE), "now": now})
    if not rows:
        return None
    return [
        Leased(TaskKey(row.request_id, holder, PHASE[row.phase]), RIGHT[row.right], Regime(row.regime), *row[4:])
        for row in rows
        if row.request_id is not None
    ]


async def words(connection: Connection, request_ids: Iterable[str]) -> dict[str, list[HolderWord]]:
    """The last word of every holder on requests that have ended."""
    found: dict[str, list[HolderWord]] = {}
    for row in await fetch(connection, _WORDS, {"ids": list(request_ids)}):
        word = HolderWord(row.holder, Outcome(row.outcome), row.receipt_digest)
        found.setdefault(row.request_id, []).append(word)
    return found


async def due(connection: Connection, now: datetime, alive: datetime, limit: int) -> list[tuple[TaskKey, int]]:
    """Tasks to offer again, with how often they were offered. Holders seen after `alive` may just have a long queue."""
    binds = {"now": now, "alive": alive, "limit": limit, "leasable": list(LEASABLE)}
    rows = await connection.execute(_DUE, binds)
    return [(TaskKey(row.request_id, row.holder, Phase(row.phase)), row.offers) for row in rows]


async def offer_again(connection: Connection, again: Mapping[TaskKey, datetime], now: datetime) -> None:
    """Notes that tasks were offered once more, and when the next time is."""
    await connection.execute(_OFFER_AGAIN, _keys(again) | {"again": list(again.values()), "now": now})


async def troubled(connection: Connection, late: datetime) -> list[str]:
    """Requests with tasks that were first offered before `late`, or whose holder was switched off."""
    rows = await connection.execute(_TROUBLED, {"stoppable": list(STOPPABLE), "late": late})
    return list(rows.scalars())


async def block(connection: Connection, request_ids: Iterable[str], late: datetime) -> set[str]:
    """Blocks those tasks of locked requests; answers the requests concerned."""
    binds = {"ids": list(request_ids), "stoppable": list(STOPPABLE), "late": late}
    return set((await connection.execute(_BLOCK, binds)).scalars())


async def retry(
    connection: Connection,
    request_ids: Iterable[str],
    holder: str,
    *,
    phase: Phase | None = None,
    cause: Cause | None = None,
) -> set[str]:
    """Plans blocked tasks of locked requests anew; answers the requests concerned."""
    binds = {"ids": list(request_ids), "holder": holder, "phase": phase, "cause": cause}
    return set((await connection.execute(_RETRY, binds)).scalars())
