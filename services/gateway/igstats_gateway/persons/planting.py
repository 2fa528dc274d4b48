"""Canaries: persons who do not exist, put on file by the same use case as everybody."""

from igstats_gateway.accounts import Registration
from igstats_gateway.model import Contact
from igstats_gateway.persons.store import PersonStore

NAME = "planted canary"
"""What account and contact are called: whoever finds one knows that it is nobody."""


class Canaries:
    """Plants them."""

    def __init__(self, store: PersonStore, registration: Registration) -> None:
        self._store = store
        self._registration = registration

    async def plant(self, email: str) -> str:
        """The account with this contact, made now unless it is there. Its key may do nothing and is shown to nobody.

        Raises:
            DomainError: SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        known = await self._store.find(self._store.tokens([("EMAIL", email)]), 1)
        if known:
            return known[0].account_id
        return (await self._registration.create(NAME, Contact("", email, NAME), ())).account_id
