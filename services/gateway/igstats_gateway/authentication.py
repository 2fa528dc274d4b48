"""Who calls: from the authorization header to an account.

Keys are read from the database and remembered for less than a second, so that a revocation reaches every replica within
one, without a message that could get lost.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason

from igstats_gateway.keys import ApiKey, Pepper, parse
from igstats_gateway.model import Caller, StoredKey

REMEMBER = timedelta(seconds=0.8)
_CAPACITY = 10_000

FindKey = Callable[[str], Awaitable[StoredKey | None]]


@dataclass(frozen=True)
class _Memory:
    read_at: datetime
    key: StoredKey | None


class Authentication:
    """Finds the account behind a key. Unknown ids are remembered too, so that guessing costs one query a second."""

    def __init__(self, find_key: FindKey, pepper: Pepper, clock: Clock) -> None:
        self._find_key = find_key
        self._pepper = pepper
        self._clock = clock
        self._memory: dict[str, _Memory] = {}
        self._accepted: dict[str, bytes] = {}
        self._searches: dict[str, asyncio.Task[StoredKey | None]] = {}

    def knows(self, authorization: str) -> bool:
        """Whether this very key was the last time accepted here; asks nobody."""
        try:
            key = _key(authorization)
        except DomainError:
            return False
        accepted = self._accepted.get(key.key_id)
        return accepted is not None and self._pepper.fits(key, accepted)

    async def caller(self, authorization: str) -> Caller:
        """The caller of a request with this authorization header.

        Raises:
            DomainError: API_KEY_MISSING, _MALFORMED, _UNKNOWN, _REVOKED or _EXPIRED.
        """
        key = _key(authorization)
        stored = await self._stored(key.key_id)
        if stored is None or not self._pepper.fits(key, stored.key_hash):
            raise DomainError(Reason.API_KEY_UNKNOWN)
        self._accepted.pop(key.key_id, None)
        self._require_alive(stored)
        self._accept(stored)
        return Caller(stored.account_id, stored.key_id, frozenset(stored.scopes), stored.expire_time)

    def _accept(self, stored: StoredKey) -> None:
        if len(self._accepted) >= _CAPACITY:
            self._accepted.pop(next(iter(self._accepted)))
        self._accepted[stored.key_id] = stored.key_hash

    def _require_alive(self, stored: StoredKey) -> None:
        if stored.revoked_time is not None:
            raise DomainError(Reason.API_KEY_REVOKED)
        if stored.expire_time is not None and stored.expire_time <= self._clock.now():
            raise DomainError(Reason.API_KEY_EXPIRED)

    async def _stored(self, key_id: str) -> StoredKey | None:
        known = self._memory.get(key_id)
        if known is not None and timedelta(0) <= self._clock.now() - known.read_at < REMEMBER:
            return known.key
        search = self._searches.get(key_id)
        if search is None:
            search = asyncio.create_task(self._search(key_id))
            self._searches[key_id] = search
            search.add_done_callback(lambda done: self._searched(key_id, done))
        return await asyncio.shield(search)

    def _searched(self, key_id: str, search: asyncio.Task[StoredKey | None]) -> None:
        self._searches.pop(key_id, None)
        if not search.cancelled():
            search.exception()  # looked at, even when everyone who waited has gone

    async def _search(self, key_id: str) -> StoredKey | None:
        read_at = self._clock.now()  # before the query: what it does not see yet must not live on for a whole second
        stored = await self._find_key(key_id)
        self._memory.pop(key_id, None)
        while len(self._memory) >= _CAPACITY:
            self._memory.pop(next(iter(self._memory)))
        self._memory[key_id] = _Memory(read_at, stored)
        return stored


def _key(authorization: str) -> ApiKey:
    scheme, _, text = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise DomainError(Reason.API_KEY_MISSING)
    return parse(text.strip())
