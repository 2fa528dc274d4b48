"""The account's own key, shown again: proves the account, its contacts, and the profiles it holds live connections to.

For requests that came by another door than the API, where the key is shown with every call.
"""

from collections.abc import Collection

from igstats_kit.errors import DomainError, Reason

from igstats_privacy import identity
from igstats_privacy.model import Identifier, Naming, Shown
from igstats_privacy.proofs.errors import not_available
from igstats_privacy.proofs.proof import Method, Tier
from igstats_privacy.proofs.proving import Proving
from igstats_privacy.triage import Profiles

SCOPE = "privacy:write"
"""What the key must be allowed: as much as opening a request over the API asks for (`RequestService/CreateRequest`)."""


class Accounts:
    """Takes the word of the gateway that a key of an account was shown."""

    def __init__(self, proving: Proving, profiles: Profiles) -> None:
        self._proving = proving
        self._profiles = profiles

    async def prove(self, status_code: str, account_id: str, scopes: Collection[str]) -> Shown:
        """Covers what of the request is the account's.

        Raises:
            DomainError: SCOPE_MISSING; STATUS_CODE_UNKNOWN; DEPENDENCY_UNAVAILABLE; PROOF_NOT_AVAILABLE when nothing in
                the request is the account's.
        """
        if SCOPE not in scopes:
            raise DomainError(Reason.SCOPE_MISSING, scope=SCOPE)
        request_id = self._proving.request_id(status_code)
        async with self._proving.case(request_id) as case:
            named = case.naming.identifiers
        own = [one for one in named if identity.owns(one, account_id)]
        own += await self._connected([one for one in named if identity.names_profile(one)], account_id)
        if not own:
            raise not_available()
        async with self._proving.case(request_id) as case:
            proof = case.proof(Method.ACCOUNT)
            covers = tuple(sorted({*proof.covers, *self._proving.tokens(own)}))
            await self._proving.write(case, proof.proved(Tier.ACCOUNT, covers))
        self._proving.published(request_id)
        return await self._proving.show(request_id)

    async def _connected(self, profiles: list[Identifier], account_id: str) -> list[Identifier]:
        if not profiles:
            return []
        (found,) = await self._profiles.resolve([Naming(account_id, tuple(profiles))])
        return profiles if found.connected else []
