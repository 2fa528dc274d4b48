"""Links of packages: how somebody without an account fetches what a request brought.

A link is 256 random bits in a letter, kept here as a digest only. It goes to an address that the request itself names
and nowhere else, but for a person whom only Instagram has proved, who signs in once more (`proofs/fetching.py`). Every
name in a request has to be proved, so that address was. Any other address is just what somebody
typed, and a link sent there would be the prize of whoever talks a person into proving a stranger's request.

It works until the package expires and until one download has run to its end. A download that is torn can be repeated.
Two at once are both served: they hold the same secret, and locking one out would let a torn download block the next.
"""

import hashlib
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import export_store
from igstats_privacy.exports import Contents, Exports
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.packages.packages import Packages
from igstats_privacy.store import Connection

_BYTES = 32
_CLOSED = frozenset({Reason.REQUEST_NOT_FOUND, Reason.EXPORT_NOT_READY, Reason.EXPORT_EXPIRED})


@dataclass(frozen=True)
class Link:
    """A fresh link, for one letter."""

    secret: str
    until: datetime


class Links:
    """Makes links and gives packages for them."""

    def __init__(
        self, database: Database, exports: Exports, packages: Packages, identifiers: Identifiers, clock: Clock
    ) -> None:
        self._database = database
        self._exports = exports
        self._packages = packages
        self._identifiers = identifiers
        self._clock = clock

    async def make(self, connection: Connection, request_id: str, address: str) -> Link | None:
        """A link for a letter to this address; None without a package, or if the request does not name it."""
        until = await self._exports.expiry(connection, request_id)
        if until is None or not await self._names(connection, request_id, address):
            return None
        return Link(await self._add(connection, request_id), until)

    async def open_to(self, connection: Connection, request_id: str, person: tuple[bytes, ...]) -> str | None:
        """The secret of a fresh link; None without a package, or if the request is not about this person."""
        named = frozenset(await export_store.tokens_of(connection, request_id))
        if named.isdisjoint(person) or await self._exports.expiry(connection, request_id) is None:
            return None
        return await self._add(connection, request_id)

    async def open_still(self, request_id: str) -> bool:
        """Whether there is a package to fetch."""
        async with self._database.read() as connection:
            return await self._exports.expiry(connection, request_id) is not None

    async def _add(self, connection: Connection, request_id: str) -> str:
        secret = secrets.token_hex(_BYTES)
        await export_store.add_link(connection, _digest(secret), request_id, self._clock.now())
        return secret

    async def read(self, request_id: str | None, secret: str) -> AsyncGenerator[bytes, None]:
        """The package as a ZIP, in pieces; that it is fetched is on record before the first.

        Raises:
            DomainError: PACKAGE_LINK_INVALID, for a link that is wrong, used up or too old, or of another request.
        """
        digest = _digest(secret)
        contents = await self._opened(request_id, digest)
        async for piece in self._packages.packed(contents):
            yield piece
        await self._use_up(digest, contents.request.request_id)

    async def _opened(self, request_id: str | None, digest: bytes) -> Contents:
        async with self._database.read() as connection:
            linked = await export_store.linked(connection, digest)
        if request_id is None or linked != request_id:
            raise DomainError(Reason.PACKAGE_LINK_INVALID)
        try:
            contents = await self._exports.linked(request_id)
        except DomainError as error:
            raise DomainError(Reason.PACKAGE_LINK_INVALID) if error.reason in _CLOSED else error from None
        async with self._database.transaction() as connection:
            await self._record(connection, "package.fetched", request_id)
        return contents

    async def _use_up(self, digest: bytes, request_id: str) -> None:
        async with self._database.transaction() as connection:
            if await export_store.use_up(connection, digest):
                await self._record(connection, "package.link_used", request_id)

    async def _record(self, connection: Connection, kind: str, request_id: str) -> None:
        await record(connection, "privacy", kind, {}, now=self._clock.now(), request_id=request_id)

    async def _names(self, connection: Connection, request_id: str, address: str) -> bool:
        try:
            tokens = self._identifiers.mail_tokens(address)
        except DomainError:  # no address at all; whoever opened the request has to know
            return False
        named = await export_store.tokens_of(connection, request_id)
        return not set(named).isdisjoint(tokens)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
