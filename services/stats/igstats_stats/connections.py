"""Connecting profiles to accounts, and asking for synchronisations."""

import math
from collections.abc import Sequence

from igstats_kit.clock import Clock
from ulid import ULID

from igstats_stats.errors import connection_not_found, subject_restricted, throttled, token_dead
from igstats_stats.instagram import InstagramClient
from igstats_stats.model import Connection, ConnectionState
from igstats_stats.pages import PageTokens, size_of
from igstats_stats.store.connections import ConnectionStore


class Connections:
    """The connections of accounts."""

    def __init__(self, store: ConnectionStore, instagram: InstagramClient, pages: PageTokens, clock: Clock) -> None:
        self._store = store
        self._instagram = instagram
        self._pages = pages
        self._clock = clock

    async def create(self, account_id: str, access_token: str) -> Connection:
        """Asks Instagram whose token it is, then connects that profile.

        Raises:
            DomainError: INSTAGRAM_*, SUBJECT_ERASED or SUBJECT_RESTRICTED.
        """
        facts = await self._instagram.owner(access_token).me()
        made = Connection(
            connection_id=f"cxn_{str(ULID()).lower()}",
            account_id=account_id,
            profile_id=0,
            instagram_user_id=facts.instagram_user_id,
            state=ConnectionState.ACTIVE,
            created_at=self._clock.now(),
        )
        return await self._store.create(made, facts, access_token)

    async def get(self, account_id: str, connection_id: str) -> Connection:
        """A connection of the account.

        Raises:
            DomainError: CONNECTION_NOT_FOUND.
        """
        found = await self._store.get(account_id, connection_id)
        if found is None:
            raise connection_not_found()
        return found

    async def page(self, account_id: str, page_size: int, page_token: str) -> tuple[list[Connection], str]:
        """A page of connections and the token of the next one."""
        query = ("connections", account_id)
        place = self._pages.read(query, page_token)
        limit = size_of(page_size)
        found = await self._store.page(account_id, place[0] if place else "", limit + 1)
        rest = self._pages.make(query, [found[limit - 1].connection_id]) if len(found) > limit else ""
        return found[:limit], rest

    async def request_sync(self, account_id: str, connection_id: str) -> Connection:
        """Asks for a synchronisation now.

        Raises:
            DomainError: CONNECTION_NOT_FOUND, INSTAGRAM_TOKEN_DEAD, INSTAGRAM_THROTTLED or SUBJECT_RESTRICTED.
        """
        found = await self.get(account_id, connection_id)
        if found.restricted:
            raise subject_restricted()
        if found.state is ConnectionState.TOKEN_DEAD:
            raise token_dead()
        now = self._clock.now()
        if found.blocked_until is not None and found.blocked_until > now:
            raise throttled(math.ceil((found.blocked_until - now).total_seconds() / 60))
        await self._store.request_sync(connection_id, now)
        return found

    async def depart(self, identifiers: Sequence[tuple[str, str]]) -> int:
        """Ends the connections of all accounts to the profiles that the identifiers (kind, value) name; how many.

        Their owner has taken the permission back at Instagram, so the tokens are worth nothing and must not be kept.
        """
        return await self._store.depart(identifiers, self._clock.now())

    async def delete(self, account_id: str, connection_id: str) -> None:
        """Ends a connection.

        Raises:
            DomainError: CONNECTION_NOT_FOUND.
        """
        if not await self._store.delete(account_id, connection_id):
            raise connection_not_found()
