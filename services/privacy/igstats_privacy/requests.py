"""Requests about a person's rights: opened by any door, shown, watched, taken back, proved, helped on."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from igstats_kit.clock import Clock, woken
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import store, task_store, wait_store
from igstats_privacy.changes import Changes
from igstats_privacy.children import Children
from igstats_privacy.drafts import Drafts
from igstats_privacy.errors import request_not_found
from igstats_privacy.fanout import Fanout
from igstats_privacy.identifiers import Identifiers, normalised
from igstats_privacy.lifecycle import FINAL, RUNNING, Move, moved
from igstats_privacy.model import NewRequest, Phase, Request, Right, Shown, State, Task, Wait
from igstats_privacy.openings import Openings
from igstats_privacy.status_codes import StatusCodes
from igstats_privacy.store import Connection
from igstats_privacy.waits import CHOICES, continues, is_signal_of_calls

_PAGE = 50
_LONGEST_PAGE = 200
_LOOK_AGAIN_SECONDS = 2.0


class Requests:
    """The use cases of requests."""

    def __init__(
        self,
        database: Database,
        fanout: Fanout,
        identifiers: Identifiers,
        changes: Changes,
        clock: Clock,
        wake_triage: Callable[[], None],
        codes: StatusCodes,
        drafts: Drafts,
        children: Children,
    ) -> None:
        self._codes = codes
        self._drafts = drafts
        self._children = children
        self._database = database
        self._openings = Openings(database, wake_triage)
        self._fanout = fanout
        self._identifiers = identifiers
        self._changes = changes
        self._clock = clock
        self._wake_triage = wake_triage

    async def open(self, new: NewRequest) -> Shown:
        """Writes a request; durable when it answers. The same key with the same content answers the same request.

        A signal with an account's calls undoes no consent: an opt-in since stands as long as it is on record.

        Raises:
            DomainError: SUBJECT_UNIDENTIFIED, IDEMPOTENCY_KEY_REUSED.
        """
        opening = self._drafts.of(new)
        if is_signal_of_calls(new) and (consent := await self._consent(new)) is not None:
            return consent
        if not await self._openings.add(opening):
            return await self._known(new, opening.key, opening.content)
        return self._shown(opening.request, account_id=new.account_id)

    async def _consent(self, new: NewRequest) -> Shown | None:
        """The opt-in of the person, if that was the last word on disclosure."""
        tokens = self._identifiers.tokens(normalised(new.identifiers))
        async with self._database.read() as connection:
            last = await store.last_of(connection, tokens, CHOICES)
            if last is None or last.right is not Right.OPT_IN:
                return None
            return await self._whole(connection, last, new.account_id)

    async def _known(self, new: NewRequest, key: bytes, content: bytes) -> Shown:
        async with self._database.read() as connection:
            known, before = await store.keyed(connection, key)
            if before != content:
                raise DomainError(Reason.IDEMPOTENCY_KEY_REUSED)
            return await self._whole(connection, known, new.account_id)

    async def get(self, request_id: str, account_id: str | None = None) -> Shown:
        """A request with its tasks; of this account only, when one is given. Otherwise it tells who opened it.

        Raises:
            DomainError: REQUEST_NOT_FOUND.
        """
        async with self._database.read() as connection:
            request = await self._found(connection, request_id, account_id)
            sealed = await store.sealed(connection, request_id) if account_id is None else None
            opener = self._identifiers.open(request_id, sealed).account_id if sealed is not None else account_id
            return await self._whole(connection, request, opener or "")

    async def page(
        self,
        page_size: int,
        before: str,
        *,
        account_id: str | None = None,
        state: State | None = None,
        blocked_only: bool = False,
    ) -> tuple[list[Shown], str]:
        """Requests without tasks, newest first, and where the next page starts ("" at the end)."""
        limit = min(page_size or _PAGE, _LONGEST_PAGE)
        async with self._database.read() as connection:
            token = None if account_id is None else self._identifiers.account_token(account_id)
            found = await store.page(
                connection, limit + 1, before=before, account_token=token, state=state, blocked_only=blocked_only
            )
        more = found[limit - 1].request_id if len(found) > limit else ""
        return [self._shown(request) for request in found[:limit]], more

    async def watch(self, request_id: str, account_id: str) -> AsyncIterator[Shown]:
        """The request now and after every change, until it has ended.

        Raises:
            DomainError: REQUEST_NOT_FOUND.
        """
        last: Shown | None = None
        with self._changes.watch(request_id) as awake:
            while True:
                awake.clear()
                shown = await self.get(request_id, account_id)
                if shown != last:
                    yield shown
                if shown.request.state in FINAL:
                    return
                last = shown
                await woken(awake, _LOOK_AGAIN_SECONDS)

    async def withdraw(self, request_id: str, account_id: str | None = None) -> Shown:
        """Takes a request back.

        Raises:
            DomainError: REQUEST_NOT_FOUND, TRANSITION_NOT_ALLOWED.
        """
        async with self._database.transaction() as connection:
            await store.lock(connection, [request_id])
            await self.end(connection, await self._found(connection, request_id, account_id), Move.WITHDRAW)
        self._wake_triage()
        self._changes.publish([request_id])
        return await self.get(request_id, account_id)

    async def end(self, connection: Connection, request: Request, move: Move) -> None:
        """Ends a locked request before its acceptance, and what was done while it waited.

        Raises:
            DomainError: TRANSITION_NOT_ALLOWED.
        """
        if continues(request.right, is_child=bool(request.parent_id)):
            raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state=request.state, step=move)
        request_id, new = request.request_id, moved(request.state, move)
        await self.wait_no_more(connection, request, by_officer=move is Move.DENY)
        await self._fanout.move(connection, {request_id: request.state}, {request_id: new})
        await wait_store.wait(connection, {request_id: (Wait.UNSPECIFIED, None)})

    async def wait_no_more(self, connection: Connection, request: Request, *, by_officer: bool) -> None:
        """Undoes what was done while a locked request waited."""
        if (sealed := await store.sealed(connection, request.request_id)) is not None:
            naming = self._identifiers.open(request.request_id, sealed)
            tokens = self._identifiers.tokens_of(naming)
            await self._children.lift(connection, request, naming, tokens, by_officer=by_officer)

    async def confirm_identity(self, request_id: str, proof: str) -> Shown:
        """An officer states how the identity was proved; triage goes on.

        Raises:
            DomainError: REQUEST_NOT_FOUND, TRANSITION_NOT_ALLOWED.
        """
        async with self._database.transaction() as connection:
            state = await self._locked(connection, request_id)
            await self._fanout.move(connection, {request_id: state}, {request_id: moved(state, Move.PROVE)})
            await store.prove(connection, {request_id: proof})
            now = self._clock.now()
            await record(connection, "privacy", "identity.confirmed", {}, now=now, request_id=request_id)
        self._wake_triage()
        self._changes.publish([request_id])
        return await self.get(request_id)

    async def retry_task(self, request_id: str, holder: str, phase: Phase) -> Shown:
        """An officer sends a blocked task back to its holder.

        Raises:
            DomainError: REQUEST_NOT_FOUND; TRANSITION_NOT_ALLOWED when the task is not blocked.
        """
        async with self._database.transaction() as connection:
            state = await self._locked(connection, request_id)
            touched = await task_store.retry(connection, [request_id], holder, phase=phase)
            if state not in RUNNING or not touched:
                raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state=state, step="RETRY")
            await self._fanout.advance(connection, touched)
            payload = {"holder": holder, "phase": phase}
            await record(connection, "privacy", "task.retried", payload, now=self._clock.now(), request_id=request_id)
        self._changes.publish([request_id])
        return await self.get(request_id)

    async def _locked(self, connection: Connection, request_id: str, account_id: str | None = None) -> State:
        await store.lock(connection, [request_id])
        return (await self._found(connection, request_id, account_id)).state

    async def _found(self, connection: Connection, request_id: str, account_id: str | None = None) -> Request:
        request = await store.find(connection, request_id)
        if request is None or not self._may_see(request, account_id):
            raise request_not_found()
        return request

    def _may_see(self, request: Request, account_id: str | None) -> bool:
        return account_id is None or request.account_token == self._identifiers.account_token(account_id)

    async def _whole(self, connection: Connection, request: Request, account_id: str) -> Shown:
        """With its tasks, and with the reasons why its person waits longer (GDPR article 12(3))."""
        tasks = await task_store.of_request(connection, request.request_id)
        extended = request.extended_at is not None
        said = await store.explanations(connection, request.request_id) if extended else {}
        return replace(self._shown(request, tasks, account_id), extension_reasons=said.get("EXTENSION", ""))

    def _shown(self, request: Request, tasks: Sequence[Task] = (), account_id: str = "") -> Shown:
        overdue = request.closed_at is None and request.due_at <= self._clock.now()
        return Shown(request, overdue, tuple(tasks), account_id, self._codes.of(request.request_id))
