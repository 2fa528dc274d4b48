"""Dry runs: what an erasure would touch at every holder, before anybody approves it."""

from collections.abc import Callable

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import store as core
from igstats_privacy.children import Children, preview_of
from igstats_privacy.decisions import store
from igstats_privacy.decisions.decision import Preview
from igstats_privacy.errors import request_not_found
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.lifecycle import FINAL, Move, movable
from igstats_privacy.model import Right
from igstats_privacy.officer_ids import OfficerIds


class Previews:
    """Asks all holders, and reads what they answered."""

    def __init__(
        self,
        database: Database,
        children: Children,
        identifiers: Identifiers,
        officer_ids: OfficerIds,
        clock: Clock,
        wake_triage: Callable[[], None],
    ) -> None:
        self._database = database
        self._children = children
        self._identifiers = identifiers
        self._officer_ids = officer_ids
        self._clock = clock
        self._wake_triage = wake_triage

    async def ask(self, request_id: str, officer: str) -> str:
        """Begins a preview of an erasure that is not accepted yet; one that is under way serves again.

        Raises:
            DomainError: REQUEST_NOT_FOUND; TRANSITION_NOT_ALLOWED when it is no erasure, or too late.
        """
        async with self._database.transaction() as connection:
            await core.lock(connection, [request_id])
            request, sealed = await core.find(connection, request_id), await core.sealed(connection, request_id)
            if request is None:
                raise request_not_found()
            if request.right is not Right.ERASURE or request.state not in movable(Move.DENY) or sealed is None:
                raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state=request.state, step="PREVIEW")
            before = await store.previews(connection, request_id)
            if before and before[0][1] not in FINAL:
                return before[0][0]
            naming = self._identifiers.open(request_id, sealed)
            (preview_id,) = await self._children.open(connection, [preview_of(request_id, naming, len(before))])
            payload = {"officer": self._officer_ids.of(officer), "preview": preview_id}
            now = self._clock.now()
            await record(connection, "privacy", "request.previewed", payload, now=now, request_id=request_id)
        self._wake_triage()
        return preview_id

    async def get(self, request_id: str) -> Preview:
        """The newest preview of a request.

        Raises:
            DomainError: PREVIEW_NOT_FOUND.
        """
        async with self._database.read() as connection:
            found = await store.newest_preview(connection, request_id)
        if found is None:
            raise DomainError(Reason.PREVIEW_NOT_FOUND)
        return found
