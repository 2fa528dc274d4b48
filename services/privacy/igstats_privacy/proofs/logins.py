"""Instagram Login: the platform says whose profile it is, the only honest proof for the owner of a profile.

The token that the sign-in yields asks for the profile once and is dropped: it is neither stored nor logged.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from igstats_kit.errors import DomainError, Reason

from igstats_privacy.model import Identifier, Naming, Shown
from igstats_privacy.proofs import rules, store
from igstats_privacy.proofs.codes import Codes
from igstats_privacy.proofs.errors import not_available
from igstats_privacy.proofs.proof import Method, ProofState, Tier
from igstats_privacy.proofs.proving import Case, Proving
from igstats_privacy.proofs.rules import Profile
from igstats_privacy.triage import Profiles

STATE_LIFE = timedelta(minutes=15)


class Instagram(Protocol):
    """Instagram Login, as one of our apps uses it."""

    def authorize_url(self, state: str) -> str:
        """Where the person signs in and consents.

        Raises:
            DomainError: PROOF_NOT_AVAILABLE; no app is set up.
        """
        ...

    async def profile(self, code: str) -> Profile:
        """Who signed in.

        Raises:
            DomainError: LOGIN_STATE_INVALID when Instagram refuses the code, INSTAGRAM_UNAVAILABLE.
        """
        ...


class Logins:
    """Sends persons to Instagram and takes them back. A state works once, whatever comes of it."""

    def __init__(self, proving: Proving, codes: Codes, instagram: Instagram, profiles: Profiles) -> None:
        self._proving = proving
        self._codes = codes
        self._instagram = instagram
        self._profiles = profiles

    async def start(self, status_code: str) -> str:
        """Where the person goes. Starting again ends the sign-in before.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN; PROOF_NOT_AVAILABLE when the request names no profile.
        """
        state = self._codes.new_state()
        url = self._instagram.authorize_url(state)
        async with self._proving.case(self._proving.request_id(status_code)) as case:
            proof = case.proof(Method.LOGIN)
            if proof.state is ProofState.PROVED or not any(map(rules.names_profile, case.naming.identifiers)):
                raise not_available()
            secret = self._codes.of_state(state)
            started = replace(proof, state=ProofState.OPEN, secret=secret, expires_at=case.now + STATE_LIFE)
            await self._proving.write(case, started)
        return url

    async def finish(self, state: str, code: str) -> Shown:
        """Takes the person back.

        Raises:
            DomainError: LOGIN_STATE_INVALID, PROOF_NOT_AVAILABLE, INSTAGRAM_UNAVAILABLE, DEPENDENCY_UNAVAILABLE.
        """
        request_id = await self._take(state)
        profile = await self._instagram.profile(code)
        handle = await self._handle(profile)
        async with self._proving.case(request_id) as case:
            await self._settle(case, profile, handle)
        self._proving.published(request_id)
        return await self._proving.show(request_id)

    async def _take(self, state: str) -> str:
        """The request of a sign-in, whose state is used up from here on."""
        secret = self._codes.of_state(state)
        found = await self._proving.find(secret)
        if found is None:
            raise DomainError(Reason.LOGIN_STATE_INVALID)
        async with self._proving.case(found.request_id) as case:
            proof = case.proof(Method.LOGIN)
            valid = proof.secret == secret and proof.standing(case.now) is ProofState.OPEN
            if valid:
                await store.put(case.connection, replace(proof, secret=None))
        if not valid:
            raise DomainError(Reason.LOGIN_STATE_INVALID)
        return found.request_id

    async def _settle(self, case: Case, profile: Profile, handle: tuple[Identifier, ...]) -> None:
        proof = case.proof(Method.LOGIN)
        covered = rules.by_login(case.naming.identifiers, profile)
        if not covered:  # somebody else signed in
            await self._proving.write(case, replace(proof, state=ProofState.FAILED, secret=None))
            return
        vouched = tuple(one for one in profile.identifiers if one.kind != "USERNAME") + handle
        case = await self._proving.rename(case, _renamed(case.naming, covered, vouched))
        await self._proving.write(case, proof.proved(Tier.PLATFORM, self._proving.tokens(vouched)))

    async def _handle(self, profile: Profile) -> tuple[Identifier, ...]:
        """The profile's handle, unless stats holds it as another profile's: handles change hands.

        Then what is held under the handle is that other person's, and the profile's own id says who is meant.
        """
        handle = Identifier("USERNAME", profile.username)
        (found,) = await self._profiles.resolve([Naming("", (handle,))])
        owners = {one.value for one in found.identifiers if one.kind == "INSTAGRAM_USER_ID"}
        return (handle,) if owners <= {profile.user_id} else ()


def _renamed(naming: Naming, covered: tuple[Identifier, ...], vouched: tuple[Identifier, ...]) -> Naming:
    """The names with what the person said of the profile replaced by what the platform says of it."""
    kept = {one for one in naming.identifiers if one not in covered}
    return replace(naming, identifiers=tuple(sorted({*kept, *vouched})))
