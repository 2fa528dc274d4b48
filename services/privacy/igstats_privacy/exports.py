"""Access and portability packages: the account reads what the holders have sent (`shares`), time destroys it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime

from igstats_kit.clock import Clock
from igstats_kit.deep_sweep.model import Stored
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database

from igstats_privacy import export_store, store
from igstats_privacy.errors import request_not_found
from igstats_privacy.export_store import Heap, Package
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.model import Request, Right, State
from igstats_privacy.shares import opened
from igstats_privacy.store import Connection

_PAGE = 16
_PACKED = frozenset({Right.ACCESS, Right.PORTABILITY})
EXCERPT = "excerpt"
"""The door of requests that officers open on a ground of GDPR 18(2)."""
_READABLE = frozenset({State.FULFILLED, State.FULFILLED_IN_PART})


class Exports:
    """Gives and destroys packages."""

    def __init__(self, database: Database, sealer: Sealer, identifiers: Identifiers, clock: Clock) -> None:
        self._database = database
        self._identifiers = identifiers
        self._sealer = sealer
        self._clock = clock

    async def contents(self, request_id: str, account_id: str) -> "Contents":
        """What is in the package of a request that has ended, to be read part by part.

        Raises:
            DomainError: REQUEST_NOT_FOUND, EXPORT_NOT_READY, EXPORT_EXPIRED.
        """
        token = self._identifiers.account_token(account_id)
        return await self._contents(request_id, lambda found: bool(token) and found.account_token == token)

    async def excerpt(self, request_id: str) -> "Contents":
        """What is in an excerpt, for the officer who opened it.

        Raises:
            DomainError: REQUEST_NOT_FOUND, EXPORT_NOT_READY, EXPORT_EXPIRED.
        """
        return await self._contents(request_id, lambda found: found.door == EXCERPT)

    async def linked(self, request_id: str) -> "Contents":
        """What is in the package of a request, for whoever has shown its link.

        Raises:
            DomainError: REQUEST_NOT_FOUND, EXPORT_NOT_READY, EXPORT_EXPIRED.
        """
        return await self._contents(request_id, lambda _found: True)

    async def expiry(self, connection: Connection, request_id: str) -> datetime | None:
        """Until when the package of a request can be read; None when there is none."""
        package = await export_store.package(connection, request_id)
        return package.expires_at if package and package.expires_at > self._clock.now() else None

    async def _contents(self, request_id: str, may_read: Callable[[Request], bool]) -> "Contents":
        async with self._database.read() as connection:
            # Before looking whether the package is there: what is destroyed in between must not pass for a smaller one.
            heaps = await export_store.heaps(connection, request_id)
            request, package = await self._readable(connection, request_id, may_read)
            descriptions = await export_store.descriptions(connection, request_id)
        sealer = opened(self._sealer, request_id, package.sealed_key)
        return Contents(self._database, sealer, request, package, heaps, descriptions)

    async def _readable(
        self, connection: Connection, request_id: str, may_read: Callable[[Request], bool]
    ) -> tuple[Request, Package]:
        request = await store.find(connection, request_id)
        if request is None or not may_read(request) or request.right not in _PACKED:
            raise request_not_found()
        if request.state not in _READABLE:
            raise DomainError(Reason.EXPORT_NOT_READY)
        package = await export_store.package(connection, request_id)
        if package is None or package.expires_at <= self._clock.now():
            raise DomainError(Reason.EXPORT_EXPIRED)
        if await export_store.incomplete(connection, request_id):
            raise DomainError(Reason.EXPORT_EXPIRED)
        return request, package

    async def stored(self) -> AsyncIterator[Stored]:
        """Every stored package, opened piece by piece: the deep sweep searches them for persons erased since."""
        async with self._database.read() as connection:
            request_ids = await export_store.packages(connection)
        for request_id in request_ids:
            async with self._database.read() as connection:
                request = await store.find(connection, request_id)
                package = await export_store.package(connection, request_id)
                heaps = await export_store.heaps(connection, request_id)
            if request is None or package is None:
                continue  # destroyed meanwhile
            sealer = opened(self._sealer, request_id, package.sealed_key)
            contents = Contents(self._database, sealer, request, package, heaps, {})
            try:
                async for heap, lines in contents.every():
                    yield Stored(f"{request_id}/{heap.holder}/{heap.store}", package.created_at, lines)
            except DomainError as error:  # destroyed while it was searched: nothing is left to find
                if error.reason is not Reason.EXPORT_EXPIRED:
                    raise

    async def destroy_expired(self) -> int:
        """Destroys packages whose time is over; returns how many."""
        async with self._database.transaction() as connection:
            expired = await export_store.expired(connection, self._clock.now())
            if expired:
                await export_store.destroy(connection, expired)
        return len(expired)


class Contents:
    """The stored shares of one package."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        request: Request,
        package: Package,
        heaps: Sequence[Heap],
        descriptions: Mapping[str, bytes],
    ) -> None:
        self._database = database
        self._sealer = sealer
        self.request = request
        self.made_at = package.created_at
        self.expires_at = package.expires_at
        self.heaps = heaps
        self.descriptions = descriptions

    async def every(self) -> AsyncIterator[tuple[Heap, bytes]]:
        """All lines, store by store.

        Raises:
            DomainError: EXPORT_EXPIRED; see `lines`.
        """
        for heap in self.heaps:
            async for lines in self.lines(heap):
                yield heap, lines

    async def lines(self, heap: Heap) -> AsyncIterator[bytes]:
        """Whole lines of one store, a part at a time; all of them, or an error.

        Raises:
            DomainError: EXPORT_EXPIRED; the package was destroyed meanwhile, and less than all must not pass for it.
        """
        request_id, after, found = self.request.request_id, -1, 0
        while True:
            async with self._database.read() as connection:
                parts = await export_store.parts(connection, request_id, heap, after, _PAGE)
            for part in parts:
                yield self._sealer.open(part.sealed, f"{request_id}/{part.holder}/{part.number}")
                found += part.row_count
            if len(parts) < _PAGE:
                break
            after = parts[-1].number
        if found != heap.row_count:
            raise DomainError(Reason.EXPORT_EXPIRED)
