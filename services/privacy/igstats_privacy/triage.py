"""Triage: who is meant, is the identity proved, and then the plan. Woken by every new request, works in batches."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.sql import Database

from igstats_privacy import holder_store, identity, store, task_store
from igstats_privacy.changes import Changes
from igstats_privacy.fanout import Fanout
from igstats_privacy.identifiers import Identifiers, normalised
from igstats_privacy.lifecycle import Move, moved
from igstats_privacy.model import Acceptance, Identifier, Naming, State, Waiting
from igstats_privacy.store import Connection

_BATCH = 128
_RETRY_SECONDS = 2.0
_IDLE_SECONDS = 15.0

_log = get_logger()


@dataclass(frozen=True)
class Resolution:
    """What stats knows of the profiles that a request names."""

    identifiers: tuple[Identifier, ...]
    connected: bool


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


class Triage:
    """Looks at received requests. While stats does not answer, those that need it stay where they are."""

    def __init__(
        self,
        database: Database,
        fanout: Fanout,
        profiles: Profiles,
        identifiers: Identifiers,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._fanout = fanout
        self._profiles = profiles
        self._identifiers = identifiers
        self._changes = changes
        self._clock = clock
        self._awake = asyncio.Event()
        self._unreachable = False

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
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._awake.wait(), seconds)
        except TimeoutError:
            return

    async def run_once(self) -> bool:
        """Looks at every waiting request once, the oldest first; False when some must wait for stats."""
        self._unreachable = False
        after = ""
        while requests := await self._next(after):
            after = requests[-1].request_id
            if findings := await self._look(requests):
                async with self._database.transaction() as connection:
                    await self._decide(connection, findings)
                self._changes.publish(found.request.request_id for found in findings)
        return not self._unreachable

    async def _next(self, after: str) -> list[Waiting]:
        async with self._database.read() as connection:
            return await store.waiting(connection, after, _BATCH)

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
        completed = normalised(identity.merged(given, found.identifiers))
        return _Finding(request, replace(naming, identifiers=completed), proof)

    async def _resolve(self, profiles: Mapping[str, Naming]) -> dict[str, Resolution]:
        if not profiles or self._unreachable:
            return {}
        try:
            found = await self._profiles.resolve(list(profiles.values()))
        except DomainError as error:
            _log.warning("stats does not resolve subjects", reason=error.reason)
            if error.reason is Reason.DEPENDENCY_UNAVAILABLE:
                self._unreachable = True
                return {}
            found = [_NOBODY] * len(profiles)
        return dict(zip(profiles, found, strict=True))

    async def _decide(self, connection: Connection, findings: Sequence[_Finding]) -> None:
        await holder_store.read_registry(connection)
        locked = await store.lock(connection, [found.request.request_id for found in findings])
        still = [
            found for found in findings if locked[found.request.request_id][1] is found.request.state
        ]  # the others were withdrawn, or another replica was faster
        await self._doubt(connection, [found.request for found in still if not found.proof])
        await self._accept(connection, [found for found in still if found.proof])

    async def _doubt(self, connection: Connection, requests: Sequence[Waiting]) -> None:
        """The answer is the same whether the person is known here or not."""
        old = {request.request_id: request.state for request in requests}
        new: dict[str, State] = {name: moved(state, Move.DOUBT) for name, state in old.items()}
        await self._fanout.move(connection, old, new)

    async def _accept(self, connection: Connection, findings: Sequence[_Finding]) -> None:
        """Ledger, plan and first offers in one transaction: the request is durable before anything is destroyed."""
        if not findings:
            return
        now = self._clock.now()
        rights = {found.request.request_id: found.request.right for found in findings}
        await store.accept(connection, [self._acceptance(found) for found in findings], now)
        await task_store.plan(connection, rights, now)
        await self._fanout.accept(connection, list(rights))

    def _acceptance(self, found: _Finding) -> Acceptance:
        name = found.request.request_id
        sealed = self._identifiers.seal(name, found.naming)
        tokens = self._identifiers.tokens(found.naming.identifiers)
        person = self._identifiers.ledger_token(found.naming.identifiers)
        return Acceptance(name, found.request.right, found.proof, sealed, tokens, person)
