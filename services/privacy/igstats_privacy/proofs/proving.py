"""What all ways of proving share: which request a status code opens, what is proved so far, what follows from it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import store as core
from igstats_privacy.changes import Changes
from igstats_privacy.fanout import Fanout
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.identity import KEY_PROOF
from igstats_privacy.lifecycle import Move, movable, moved
from igstats_privacy.model import Identifier, Naming, Request, Shown
from igstats_privacy.proofs import rules, store
from igstats_privacy.proofs.proof import Method, Proof, ProofState
from igstats_privacy.requests import Requests
from igstats_privacy.status_codes import StatusCodes
from igstats_privacy.store import Connection

WORDS = {
    Method.MAIL_CODE: "mail code",
    Method.POINTS: "matched points",
    Method.LOGIN: rules.BY_LOGIN,
    Method.ACCOUNT: KEY_PROOF,
}
"""How a proof is named on the request, where it stays after the proof itself is forgotten."""


@dataclass(frozen=True)
class Case:
    """A locked request that waits for its proof, in a transaction."""

    connection: Connection
    request: Request
    naming: Naming
    proofs: tuple[Proof, ...]
    now: datetime

    def proof(self, method: Method, channel: bytes = b"") -> Proof:
        """The proof of this kind, a new one when there is none."""
        found = (one for one in self.proofs if (one.method, one.channel) == (method, channel))
        fresh = Proof(self.request.request_id, method, self.now, self.request.due_at, channel)
        return next(found, fresh)


class Proving:
    """Opens cases, writes proofs, and hands a request to triage once every one of its identifiers is proved."""

    def __init__(
        self,
        database: Database,
        requests: Requests,
        fanout: Fanout,
        identifiers: Identifiers,
        codes: StatusCodes,
        changes: Changes,
        clock: Clock,
        wake_triage: Callable[[], None],
    ) -> None:
        self._database = database
        self._requests = requests
        self._fanout = fanout
        self._identifiers = identifiers
        self._codes = codes
        self._changes = changes
        self._clock = clock
        self._wake_triage = wake_triage

    def request_id(self, status_code: str) -> str:
        """The request that a status code opens.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN.
        """
        found = self._codes.read(status_code)
        if found is None:
            raise DomainError(Reason.STATUS_CODE_UNKNOWN)
        return found

    def tokens(self, identifiers: Sequence[Identifier]) -> tuple[bytes, ...]:
        """The keyed tokens by which proofs name identifiers."""
        return self._identifiers.tokens(identifiers)

    async def show(self, request_id: str) -> Shown:
        """The request as it stands now."""
        return await self._requests.get(request_id)

    @asynccontextmanager
    async def case(self, request_id: str) -> AsyncIterator[Case]:
        """A request that waits for its proof, locked until the block ends; what the block writes is committed then.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN; PROOF_NOT_AVAILABLE when there is nothing to prove any more.
        """
        async with self._database.transaction() as connection:
            await core.lock(connection, [request_id])
            request = await core.find(connection, request_id)
            if request is None:  # the ledger forgets after two years; the code still looks like one of ours
                raise DomainError(Reason.STATUS_CODE_UNKNOWN)
            sealed = await core.sealed(connection, request_id)
            if request.state not in movable(Move.PROVE) or request.identity_proof or sealed is None:
                raise DomainError(Reason.PROOF_NOT_AVAILABLE)
            proofs = tuple(await store.of_request(connection, request_id))
            yield Case(connection, request, self._identifiers.open(request_id, sealed), proofs, self._clock.now())

    async def write(self, case: Case, proof: Proof) -> Case:
        """Writes a proof of the case; if it was the last that was missing, triage goes on with the request."""
        before = case.proof(proof.method, proof.channel)
        await store.put(case.connection, proof)
        others = [one for one in case.proofs if (one.method, one.channel) != (proof.method, proof.channel)]
        after = replace(case, proofs=(*others, proof))
        if proof.state is ProofState.OPEN or (proof.state, proof.tier) == (before.state, before.tier):
            return after
        word = "identity.proved" if proof.state is ProofState.PROVED else "identity.failed"
        await self._record(case, word, {"method": proof.method, "tier": proof.tier})
        request, tokens = case.request, self.tokens(case.naming.identifiers)
        if rules.is_proved(tokens, after.proofs, request.right, request.regime):
            await self._complete(after)
        return after

    async def rename(self, case: Case, naming: Naming) -> Case:
        """Writes the names in the request anew: a proof has told more of them."""
        request_id = case.request.request_id
        await store.reseal(case.connection, request_id, self._identifiers.seal(request_id, naming))
        return replace(case, naming=naming)

    async def find(self, secret: bytes) -> Proof | None:
        """The proof whose secret is in force and has this digest."""
        async with self._database.read() as connection:
            return await store.by_secret(connection, secret)

    async def proofs(self, request_id: str) -> tuple[Shown, list[Proof], datetime]:
        """A request with its proofs, the oldest first, and when they were looked at.

        Raises:
            DomainError: REQUEST_NOT_FOUND.
        """
        shown = await self.show(request_id)
        async with self._database.read() as connection:
            return shown, await store.of_request(connection, request_id), self._clock.now()

    def published(self, request_id: str) -> None:
        """Tells triage and watchers, after the commit."""
        self._wake_triage()
        self._changes.publish([request_id])

    async def _complete(self, case: Case) -> None:
        name, state = case.request.request_id, case.request.state
        proved = {one.method for one in case.proofs if one.state is ProofState.PROVED}
        await self._fanout.move(case.connection, {name: state}, {name: moved(state, Move.PROVE)})
        await core.prove(case.connection, {name: ", ".join(sorted(WORDS[method] for method in proved))})
        await self._record(case, "identity.confirmed", {"methods": sorted(proved)})

    async def _record(self, case: Case, kind: str, payload: dict[str, object]) -> None:
        request_id = case.request.request_id
        await record(case.connection, "privacy", kind, payload, now=case.now, request_id=request_id)
