"""What officers decide about requests: approvals, refusals, extensions. Each is written down with its effect."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import store as core
from igstats_privacy import wait_store
from igstats_privacy.changes import Changes
from igstats_privacy.decisions import store
from igstats_privacy.decisions.decision import Decision, Kind, Preview
from igstats_privacy.decisions.rules import extendable, inherited_extension
from igstats_privacy.errors import request_not_found
from igstats_privacy.lifecycle import Move
from igstats_privacy.model import Request, Shown, Wait
from igstats_privacy.officer_ids import OfficerIds
from igstats_privacy.policy import Policy
from igstats_privacy.regimes import extended
from igstats_privacy.requests import Requests
from igstats_privacy.store import Connection
from igstats_privacy.waits import Case, after_approval

_FOR_APPROVAL = frozenset({Wait.APPROVAL, Wait.SECOND_APPROVAL})

CountRows = Callable[[Preview], int]
"""How many rows the answers to a preview say that an erasure would touch."""


class Deciding:
    """The officer is whom the certificate names."""

    def __init__(
        self,
        database: Database,
        requests: Requests,
        changes: Changes,
        clock: Clock,
        wake_triage: Callable[[], None],
        policy: Policy,
        count_rows: CountRows,
        officer_ids: OfficerIds,
    ) -> None:
        self._database = database
        self._requests = requests
        self._changes = changes
        self._clock = clock
        self._wake_triage = wake_triage
        self._policy = policy
        self._count_rows = count_rows
        self._officer_ids = officer_ids

    async def approve(self, request_id: str, officer: str) -> Shown:
        """Approves a request that waits for it; triage goes on once enough officers have.

        Raises:
            DomainError: REQUEST_NOT_FOUND; TRANSITION_NOT_ALLOWED; SECOND_PERSON_REQUIRED for the same officer again.
        """
        async with self._locked(request_id) as (connection, request):
            if request.wait not in _FOR_APPROVAL:
                raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state=request.state, step="APPROVE")
            now = self._clock.now()
            if not await store.decide(connection, Decision(request_id, Kind.APPROVAL, officer, now)):
                raise DomainError(Reason.SECOND_PERSON_REQUIRED)
            wait = await self._after(connection, request)
            await wait_store.wait(connection, {request_id: (wait, None)})
            if wait is Wait.UNSPECIFIED:
                await store.approve(connection, request_id, now)
                await self._requests.wait_no_more(connection, request, by_officer=True)
            await self._record(connection, request_id, "request.approved", officer, {"wait": wait})
        return await self._shown(request_id)

    async def _after(self, connection: Connection, request: Request) -> Wait:
        preview = await store.newest_preview(connection, request.request_id)
        rows = self._count_rows(preview) if preview is not None and preview.is_complete else None
        officers = await store.officers(connection, request.request_id)
        case = Case(request.right, request.door, request.subject_class)
        return after_approval(self._policy, case, len(officers), rows)

    async def deny(self, request_id: str, officer: str, reason: str, explanation: str) -> Shown:
        """Refuses a request that is not accepted yet; the person is sent the reason and the routes of complaint.

        GDPR article 12(4), 12(5); 11 CCR 7021, 7022(f).

        Raises:
            DomainError: REQUEST_NOT_FOUND, TRANSITION_NOT_ALLOWED.
        """
        async with self._locked(request_id) as (connection, request):
            now = self._clock.now()
            await self._requests.end(connection, request, Move.DENY)
            await store.refuse(connection, request_id, reason)
            await store.decide(connection, Decision(request_id, Kind.DENIAL, officer, now, reason, explanation))
            await self._record(connection, request_id, "request.denied", officer, {"reason": reason})
        return await self._shown(request_id)

    async def extend(self, request_id: str, officer: str, reasons: str) -> Shown:
        """Extends the due time, once; the person is sent the reasons. GDPR article 12(3), 11 CCR 7021(b).

        Its duplicates are extended with it, since they are answered with it, and each person is told. A duplicate
        alone goes at most as far as the request that it repeats.

        Raises:
            DomainError: REQUEST_NOT_FOUND; EXTENSION_NOT_ALLOWED.
        """
        async with self._locked(request_id) as (connection, request):
            now = self._clock.now()
            if not extendable(request, now):
                raise DomainError(Reason.EXTENSION_NOT_ALLOWED)
            due = extended(request.right, request.regime, request.received_at, now)
            due = min(due, await store.due_of_first(connection, request_id) or due)
            if due <= request.due_at:
                raise DomainError(Reason.EXTENSION_NOT_ALLOWED)
            dues = {request_id: due, **await self._duplicates(connection, request_id, due, now)}
            for one, moment in dues.items():
                await store.extend(connection, one, moment, now)
                await store.decide(connection, Decision(one, Kind.EXTENSION, officer, now, explanation=reasons))
                await self._record(connection, one, "request.extended", officer, {"due": moment.isoformat()})
        self._changes.publish(dues)
        return await self._shown(request_id)

    async def _duplicates(
        self, connection: Connection, request_id: str, due: datetime, now: datetime
    ) -> Mapping[str, datetime]:
        """The live duplicates that can be extended, locked, and until when: never later than their own law allows."""
        found: dict[str, datetime] = {}
        for name in await store.lock_duplicates(connection, request_id):
            request = await core.find(connection, name)
            if request is not None and (until := inherited_extension(request, due, now)) is not None:
                found[name] = until
        return found

    @asynccontextmanager
    async def _locked(self, request_id: str) -> AsyncIterator[tuple[Connection, Request]]:
        async with self._database.transaction() as connection:
            await core.lock(connection, [request_id])
            request = await core.find(connection, request_id)
            if request is None:
                raise request_not_found()
            yield connection, request

    async def _record(
        self, connection: Connection, request_id: str, kind: str, officer: str, said: Mapping[str, str]
    ) -> None:
        payload = {"officer": self._officer_ids.of(officer), **said}
        await record(connection, "privacy", kind, payload, now=self._clock.now(), request_id=request_id)

    async def _shown(self, request_id: str) -> Shown:
        self._wake_triage()
        self._changes.publish([request_id])
        return await self._requests.get(request_id)
