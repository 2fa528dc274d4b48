"""Packages of persons who named no address: the sign-in that proved the request opens its package, done once more.

Without an address there is no letter, and the status page alone is no proof: whoever looks over a shoulder has it. So
the person signs in again. Only what the platform says of a profile's own id counts; handles change hands.
"""

from dataclasses import replace
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import store as core
from igstats_privacy.model import Identifier, Shown
from igstats_privacy.proofs import rules, store
from igstats_privacy.proofs.codes import Codes
from igstats_privacy.proofs.logins import STATE_LIFE, Instagram
from igstats_privacy.proofs.proof import Method, Proof, ProofState, Tier
from igstats_privacy.proofs.proving import Proving
from igstats_privacy.store import Connection


class Links(Protocol):
    """Makes links of packages."""

    async def open_to(self, connection: Connection, request_id: str, person: tuple[bytes, ...]) -> str | None:
        """The secret of a fresh link; None without a package, or if the request is not about this person."""
        ...


class Fetching:
    """Sends persons to Instagram and takes them back with a link."""

    def __init__(
        self, database: Database, proving: Proving, codes: Codes, instagram: Instagram, links: Links, clock: Clock
    ) -> None:
        self._database = database
        self._proving = proving
        self._codes = codes
        self._instagram = instagram
        self._links = links
        self._clock = clock

    async def start(self, status_code: str) -> str | None:
        """Where the person goes; None when the request has no package that this opens.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN; PROOF_NOT_AVAILABLE when no app is set up.
        """
        request_id, now = self._proving.request_id(status_code), self._clock.now()
        async with self._database.transaction() as connection:
            await core.lock(connection, [request_id])
            request = await core.find(connection, request_id)
            if request is None or not rules.opened_by_login(request):
                return None
            state = self._codes.new_state()
            url = self._instagram.authorize_url(state)
            secret = self._codes.of_state(state)
            started = Proof(request_id, Method.LOGIN, now, now + STATE_LIFE, store.PACKAGE, secret=secret)
            await store.put(connection, started)
        return url

    async def finish(self, state: str, code: str) -> tuple[Shown, str] | None:
        """Takes the person back: the request, and the secret of a link. None when the sign-in was for something else.

        Raises:
            DomainError: LOGIN_STATE_INVALID, also for somebody else's profile and for a package that is gone;
                INSTAGRAM_UNAVAILABLE.
        """
        proof = await self._proving.find(self._codes.of_state(state))
        if proof is None or proof.channel != store.PACKAGE:
            return None
        await self._use_up(proof)
        profile = await self._instagram.profile(code)
        person = tuple(one for one in profile.identifiers if one.kind != "USERNAME")
        secret = await self._open(proof, person)
        if secret is None:
            raise DomainError(Reason.LOGIN_STATE_INVALID)
        return await self._proving.show(proof.request_id), secret

    async def _use_up(self, proof: Proof) -> None:
        """A state works once, whatever comes of it."""
        async with self._database.transaction() as connection:
            await core.lock(connection, [proof.request_id])
            standing = await store.by_secret(connection, proof.secret or b"")
            if standing is None or standing.standing(self._clock.now()) is not ProofState.OPEN:
                raise DomainError(Reason.LOGIN_STATE_INVALID)
            await store.put(connection, replace(standing, secret=None))

    async def _open(self, proof: Proof, person: tuple[Identifier, ...]) -> str | None:
        tokens = self._proving.tokens(person)
        async with self._database.transaction() as connection:
            secret = await self._links.open_to(connection, proof.request_id, tokens)
            failed = replace(proof, state=ProofState.FAILED, secret=None)
            await store.put(connection, failed if secret is None else proof.proved(Tier.PLATFORM, tokens))
            payload, now = {"opened": secret is not None}, self._clock.now()
            await record(connection, "privacy", "package.login", payload, now=now, request_id=proof.request_id)
        return secret
