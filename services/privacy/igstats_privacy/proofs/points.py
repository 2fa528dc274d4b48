"""Matched points: facts that the person states, compared with those on file. Only how many match is ever known here.

Each identifier is compared by itself and has its own proof: what somebody knows of one person says nothing about
another whom the request names too.
"""

from collections.abc import Mapping
from typing import Protocol

from igstats_kit.errors import DomainError, Reason

from igstats_privacy.model import Identifier, Shown
from igstats_privacy.proofs import rules
from igstats_privacy.proofs.errors import locked
from igstats_privacy.proofs.proof import Method
from igstats_privacy.proofs.proving import Case, Proving


class Contacts(Protocol):
    """The persons on file at the gateway."""

    async def count_matches(self, identifier: Identifier, points: Mapping[str, str]) -> int:
        """How many of the facts match the one person whom the identifier names; 0 for a stranger.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        ...


class Points:
    """Compares stated facts."""

    def __init__(self, proving: Proving, contacts: Contacts) -> None:
        self._proving = proving
        self._contacts = contacts

    async def match(self, status_code: str, points: Mapping[str, str], *, declared: bool) -> Shown:
        """Compares; answers where the request stands, never what matched.

        The try is counted before anything is compared: guesses at the same time are all counted.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, PROOF_NOT_AVAILABLE, PROOF_TRIES_EXHAUSTED, DEPENDENCY_UNAVAILABLE.
        """
        request_id = self._proving.request_id(status_code)
        async with self._proving.case(request_id) as case:
            asked = await self._count_try(case)
        counts = {one: await self._contacts.count_matches(one, points) for one in asked}
        async with self._proving.case(request_id) as case:
            await self._settle(case, counts, declared=declared)
        self._proving.published(request_id)
        return await self._proving.show(request_id)

    async def _count_try(self, case: Case) -> list[Identifier]:
        asked = [one for one in case.naming.identifiers if rules.by_points(one)]
        if not asked:
            raise DomainError(Reason.PROOF_NOT_AVAILABLE)
        found = [case.proof(Method.POINTS, token) for token in self._proving.tokens(asked)]
        for proof in found:
            if proof.locked(case.now):
                raise locked(proof, case.now)
        for proof in found:
            case = await self._proving.write(case, proof.failed_once(case.now))
        return asked

    async def _settle(self, case: Case, counts: Mapping[Identifier, int], *, declared: bool) -> None:
        for one, token in zip(counts, self._proving.tokens(list(counts)), strict=True):
            mailed = rules.mailed(token, case.proofs)
            tier = rules.tier_of_points(counts[one], mailed=mailed, declared=declared)
            before = case.proof(Method.POINTS, token)
            if rules.is_stronger(tier, before.tier):
                case = await self._proving.write(case, before.proved(tier, (token,)))
