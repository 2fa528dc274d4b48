"""Leases: the one place where a person's identifiers leave this service, to the holder that must act on them."""

from collections.abc import Mapping, Sequence

from igstats_kit.clock import Clock
from igstats_kit.sql import Database

from igstats_privacy import hold_store, task_store
from igstats_privacy.changes import Changes
from igstats_privacy.errors import holder_unknown, task_not_owned
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.model import Hold, Lease, Naming, Phase, Right, TaskKey
from igstats_privacy.regimes import ended_by_opt_in
from igstats_privacy.task_store import Leased

# What was fenced while nobody knew the person's id was fenced by the handle: whoever takes it away names that, too.
_TAKING_AWAY = frozenset({Phase.LIFT, Phase.RESUME})
_HOLDING = frozenset({Phase.ERASE, Phase.SWEEP, Phase.PREVIEW})


class Leases:
    """Hands out offered tasks."""

    def __init__(self, database: Database, identifiers: Identifiers, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._identifiers = identifiers
        self._changes = changes
        self._clock = clock

    async def lease(self, holder: str, task_ids: Sequence[str]) -> list[Lease]:
        """Those of the tasks that are offered and not settled, with the identifiers of their persons.

        Raises:
            DomainError: TASK_NOT_OWNED, HOLDER_UNKNOWN.
        """
        keys = [key for text in task_ids if (key := TaskKey.parse(text)) is not None]
        if any(key.holder != holder for key in keys):
            raise task_not_owned(holder)
        async with self._database.statement() as connection:
            leased = await task_store.lease(connection, holder, keys, self._clock.now())
        if leased is None:
            raise holder_unknown(holder)
        holds = await self._staying(holder, [one for one in leased if one.held and _may_erase(one)])
        self._changes.publish({one.task.request_id for one in leased})
        return self._opened(leased, holds)

    async def _staying(self, holder: str, held: Sequence[Leased]) -> dict[TaskKey, tuple[Hold, ...]]:
        """What stays of the persons whose data somebody has put a hold on, by task."""
        found: dict[TaskKey, tuple[Hold, ...]] = {}
        for phase in sorted({one.task.phase for one in held}):
            keys = {one.task.request_id: one.task for one in held if one.task.phase is phase}
            async with self._database.transaction() as connection:
                holds = await hold_store.leased(connection, holder, phase, list(keys), self._clock.now())
            found |= {keys[request_id]: tuple(some) for request_id, some in holds.items()}
        return found

    def _opened(self, leased: Sequence[Leased], holds: Mapping[TaskKey, tuple[Hold, ...]]) -> list[Lease]:
        persons: dict[str, Naming] = {}
        for one in leased:
            name = one.task.request_id
            if name not in persons:
                persons[name] = self._identifiers.open(name, one.sealed)
        return [self._lease(one, persons[one.task.request_id], holds.get(one.task, ())) for one in leased]

    def _lease(self, one: Leased, naming: Naming, holds: tuple[Hold, ...]) -> Lease:
        every = one.task.phase in _TAKING_AWAY
        tokens = self._identifiers.tokens_of(naming) if every else self._identifiers.lasting_tokens_of(naming)
        ended = ended_by_opt_in(one.regime) if one.task.phase is Phase.RESUME else ()
        return Lease(
            one.task, one.right, naming.identifiers, tokens, one.attempt, one.due_at, naming.corrections, holds, ended
        )


def _may_erase(one: Leased) -> bool:
    """Whether a holder must know what stays. One that was restored erases once more before its last word."""
    return one.task.phase in _HOLDING or (one.task.phase is Phase.ATTEST and one.right is Right.ERASURE)
