"""Triage: who is meant, is the identity proved, and then the plan. Woken by every new request, works in batches."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from igstats_kit.clock import Clock, woken
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.sql import Database

from igstats_privacy import holder_store, identity, store, task_store, wait_store
from igstats_privacy.changes import Changes
from igstats_privacy.children import Children
from igstats_privacy.fanout import Fanout
from igstats_privacy.identifiers import Identifiers, normalised
from igstats_privacy.lifecycle import RUNNING, Move, moved, waiting
from igstats_privacy.model import Acceptance, Identifier, Naming, Right, State, SubjectClass, Wait, Waiting
from igstats_privacy.policy import Policy
from igstats_privacy.recipients import Recipients
from igstats_privacy.store import Connection
from igstats_privacy.wait_store import Other
from igstats_privacy.waits import (
    Case,
    Named,
    contested,
    inherited,
    is_opposed,
    is_premature,
    next_wait,
    repeats,
    subject_class,
)

_BATCH = 128
_RETRY_SECONDS = 2.0
_IDLE_SECONDS = 15.0

_log = get_logger()


@dataclass(frozen=True)
class Resolution:
    """What stats knows of the profiles that a request names; `recipients` are accounts that got their data."""

    identifiers: tuple[Identifier, ...]
    connected: bool
    recipients: tuple[str, ...] = ()


_NOBODY = Resolution((), connected=False)


class Profiles(Protocol):
    """Finds persons among Instagram profiles."""

    async def resolve(self, namings: Sequence[Naming]) -> list[Resolution]:
        """Completes identifiers and says whether the account holds a live connection to every profile; one for each.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        ...


@dataclass(frozen=True)
class _Finding:
    request: Waiting
    naming: Naming
    proof: str
    subject_class: SubjectClass
    tokens: tuple[bytes, ...]
    recipients: tuple[str, ...]
    asker: bytes

    @cached_property
    def named(self) -> Named:
        """As kinship of requests sees it."""
        one = self.request
        child = bool(one.parent_id)
        return Named(one.request_id, one.right, frozenset(self.tokens), one.due_at, child, self.asker)

    @property
    def case(self) -> Case:
        """As the rules of waiting see it."""
        one = self.request
        child = bool(one.parent_id)
        return Case(one.right, one.door, self.subject_class, child, one.approved, one.wait_until)

    @property
    def lifting(self) -> tuple[State, tuple[bytes, ...]] | None:
        """State and person of a lifting that came by itself; None for any other request."""
        one = self.request
        return (one.state, self.tokens) if one.automatic and one.right is Right.LIFTING else None


class Triage:
    """Looks at received requests. While stats does not answer, those that need it stay where they are."""

    def __init__(
        self,
        database: Database,
        fanout: Fanout,
        profiles: Profiles,
        identifiers: Identifiers,
        recipients: Recipients,
        changes: Changes,
        clock: Clock,
        *,
        children: Children,
        policy: Policy,
    ) -> None:
        self._database = database
        self._fanout = fanout
        self._profiles = profiles
        self._identifiers = identifiers
        self._recipients = recipients
        self._changes = changes
        self._clock = clock
        self._children = children
        self._policy = policy
        self._awake = asyncio.Event()
        self._unreachable = self._deferred = False

    def wake(self) -> None:
        """Looks for requests at once."""
        self._awake.set()

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            self._awake.clear()
            pause = _IDLE_SECONDS
            try:
                if not await self.run_once():
                    pause = _RETRY_SECONDS
            except DomainError as error:
                _log.warning("triage waits", reason=error.reason)
                pause = _RETRY_SECONDS
            await woken(self._awake, pause)

    async def run_once(self) -> bool:
        """Looks at every waiting request once, the oldest first; False when some must soon be looked at again."""
        self._unreachable = self._deferred = False
        after = ""
        while requests := await self._next(after):
            after = requests[-1].request_id
            if findings := await self._look(requests):
                async with self._database.transaction() as connection:
                    await self._decide(connection, findings)
                self._changes.publish(found.request.request_id for found in findings)
        return not (self._unreachable or self._deferred)

    async def _next(self, after: str) -> list[Waiting]:
        async with self._database.read() as connection:
            return await wait_store.waiting(connection, after, _BATCH, self._clock.now())

    async def _look(self, requests: Sequence[Waiting]) -> list[_Finding]:
        """What is known of each request; those that need stats are left out while it does not answer."""
        opened = [(request, self._identifiers.open(request.request_id, request.sealed)) for request in requests]
        profiles = {
            request.request_id: Naming(naming.account_id, named)
            for request, naming in opened
            if (named := tuple(filter(identity.names_profile, naming.identifiers)))
        }
        resolved = await self._resolve(profiles)
        return [
            self._found(request, naming, resolved.get(request.request_id, _NOBODY))
            for request, naming in opened
            if request.request_id in resolved or request.request_id not in profiles
        ]

    def _found(self, request: Waiting, naming: Naming, found: Resolution) -> _Finding:
        given, account_id = naming.identifiers, naming.account_id
        proof = request.identity_proof or identity.proof(given, account_id, connected=found.connected)
        proof = proof or identity.unneeded(request.right)
        completed = replace(naming, identifiers=normalised(identity.merged(given, found.identifiers)))
        kind = subject_class(given, connected=found.connected)
        tokens = self._identifiers.tokens_of(completed)
        asker = identity.asker(request.request_id, self._identifiers.account_token(account_id), proof)
        return _Finding(request, completed, proof, kind, tokens, found.recipients, asker)

    async def _resolve(self, profiles: Mapping[str, Naming]) -> dict[str, Resolution]:
        if not profiles or self._unreachable:
            return {}
        try:
            found = await self._profiles.resolve(list(profiles.values()))
        except DomainError as error:
            _log.warning("stats does not resolve subjects", reason=error.reason)
            return await self._unresolved(profiles, error.reason)
        return dict(zip(profiles, found, strict=True))

    async def _unresolved(self, profiles: Mapping[str, Naming], reason: Reason) -> dict[str, Resolution]:
        """Only names that stats cannot read are nobody's there; whatever else it answers says nothing of anybody."""
        if reason is not Reason.FIELD_INVALID:
            self._unreachable = True
            return {}
        if len(profiles) == 1:
            return dict.fromkeys(profiles, _NOBODY)
        return {name: found for one in profiles.items() for name, found in (await self._resolve(dict([one]))).items()}

    async def _decide(self, connection: Connection, findings: Sequence[_Finding]) -> None:
        await holder_store.read_registry(connection)
        seen = await wait_store.lock_seen(connection, [found.request for found in findings])
        still = [
            found for found in findings if found.request.request_id in seen
        ]  # the others were taken back or decided about, or another replica was faster
        await self._doubt(connection, [found.request for found in still if not found.proof])
        if proved := [found for found in still if found.proof]:
            await self._settle(connection, proved)

    async def _settle(self, connection: Connection, proved: Sequence[_Finding]) -> None:
        """Accepts each, or writes what it waits for. The identity comes first: kinship is told to the person only."""
        moot = await self._children.end_moot(connection, {f.request.request_id: f.lifting for f in proved if f.lifting})
        proved = [found for found in proved if found.request.request_id not in moot]
        persons = {found.request.request_id: found.tokens for found in proved}
        others = await wait_store.others(connection, persons)
        told: list[tuple[_Finding, Acceptance]] = []
        for found in proved:
            mine = [one for one in others if one.mine == found.request.request_id]
            kin = [_named(one) for one in mine] + [other.named for other, _ in told]
            running = [_named(one) for one in mine if one.state in RUNNING]
            running += [other.named for other, one in told if one.wait is Wait.UNSPECIFIED]
            checked = [_named(one) for one in mine if one.state is State.TRIAGE]
            if is_opposed(found.named, running) or is_premature(found.named, checked):
                self._deferred = True
                continue
            told.append((found, self._acceptance(found, repeats(found.named, kin))))
        await self._write(connection, told)

    async def _write(self, connection: Connection, told: Sequence[tuple[_Finding, Acceptance]]) -> None:
        if told:
            now = self._clock.now()
            await store.accept(connection, [one for _, one in told], now)
            got = {one.request.request_id: (one.naming, one.recipients) for one, _ in told}
            await self._recipients.keep(connection, got, now)
        await self._start(connection, [one for _, one in told if one.wait is Wait.UNSPECIFIED])
        await self._hold_back(connection, [(found, one) for found, one in told if one.wait is not Wait.UNSPECIFIED])

    async def _hold_back(self, connection: Connection, told: Sequence[tuple[_Finding, Acceptance]]) -> None:
        """Requests that wait: an erasure is previewed for those who must approve, and restricts during its window.

        A correction restricts while an officer checks it.
        """
        if not told:
            return
        old = {found.request.request_id: found.request.state for found, _ in told}
        new: dict[str, State] = {name: waiting(state) for name, state in old.items()}
        await self._fanout.move(connection, old, new)
        erasures = [(found, one) for found, one in told if one.right is Right.ERASURE]
        approval = [(found.request, found.naming) for found, one in erasures if one.wait is Wait.APPROVAL]
        await self._children.preview(connection, approval)
        meanwhile = [
            (found.request, found.naming, found.proof)
            for found, one in told
            if (one.right is Right.ERASURE and one.wait is Wait.WINDOW) or contested(self._policy, found.case, one.wait)
        ]
        await self._children.restrict(connection, meanwhile)

    async def _doubt(self, connection: Connection, requests: Sequence[Waiting]) -> None:
        """The answer is the same whether the person is known here or not."""
        old = {request.request_id: request.state for request in requests}
        new: dict[str, State] = {name: moved(state, Move.DOUBT) for name, state in old.items()}
        await self._fanout.move(connection, old, new)

    async def _start(self, connection: Connection, accepted: Sequence[Acceptance]) -> None:
        """Ledger, plan and first offers in one transaction: the request is durable before anything is destroyed."""
        if not accepted:
            return
        rights = {one.request_id: one.right for one in accepted}
        await task_store.plan(connection, rights, self._clock.now())
        await self._fanout.accept(connection, list(rights))

    def _acceptance(self, found: _Finding, first: Named | None) -> Acceptance:
        name = found.request.request_id
        waiting = next_wait(self._policy, found.case, self._clock.now())
        return Acceptance(
            name,
            found.request.right,
            found.proof,
            self._identifiers.seal(name, found.naming),
            found.tokens,
            self._identifiers.lasting_tokens_of(found.naming),
            found.subject_class,
            inherited(found.named, first).due_at,
            first.request_id if first is not None else "",
            waiting.wait,
            waiting.until or found.request.wait_until,
            self._identifiers.ledger_token(found.naming.identifiers),
        )


def _named(other: Other) -> Named:
    asker = identity.asker(other.request_id, other.account_token, other.identity_proof)
    return Named(other.request_id, other.right, frozenset(other.tokens), other.due_at, bool(other.parent_id), asker)
