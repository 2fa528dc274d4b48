"""Excerpts: an officer's use of a restricted person's data, on one of the grounds that GDPR 18(2) leaves open.

A restriction is enforced at the holders and has no switch there. Data leaves only as an export that is asked for here
with a named ground; who asked, why, and every reading are in the evidence log, and the person sees the request.
"""

from collections.abc import AsyncIterator, Iterable

from igstats_kit.clock import Clock
from igstats_kit.outbox import enqueue_all
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import events, export_store, store
from igstats_privacy.drafts import Drafts
from igstats_privacy.errors import field_invalid
from igstats_privacy.exports import EXCERPT, Exports
from igstats_privacy.identifiers import Identifiers, normalised
from igstats_privacy.model import Change, Identifier, NewRequest, Right, Shown, State
from igstats_privacy.officer_ids import OfficerIds
from igstats_privacy.packages.packages import Packages
from igstats_privacy.requests import Requests


class Excerpts:
    """Opens and gives excerpts."""

    def __init__(
        self,
        database: Database,
        requests: Requests,
        drafts: Drafts,
        exports: Exports,
        packages: Packages,
        identifiers: Identifiers,
        officer_ids: OfficerIds,
        clock: Clock,
    ) -> None:
        self._database = database
        self._requests = requests
        self._drafts = drafts
        self._exports = exports
        self._packages = packages
        self._identifiers = identifiers
        self._officer_ids = officer_ids
        self._clock = clock

    async def open(self, identifiers: Iterable[Identifier], ground: str, reason: str, key: str, officer: str) -> Shown:
        """Asks the holders for the data of a person who has restricted processing, on record.

        Raises:
            DomainError: FIELD_INVALID: nobody of these names has restricted processing. SUBJECT_UNIDENTIFIED.
        """
        named = normalised(identifiers)
        new = NewRequest(Right.ACCESS, EXCERPT, "", named, key, identity_proof=f"{ground}: {reason}")
        opening = self._drafts.of(new)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if not await export_store.restricted(connection, self._identifiers.tokens(named)):
                raise field_invalid("identifiers", "names nobody who has restricted processing")
            if opening.request.request_id in await store.add(connection, [opening], []):
                request_id = opening.request.request_id
                change = Change(request_id, None, State.RECEIVED)
                await enqueue_all(connection, store.drafted(events.requests_changed([change], now)))
                payload = {"ground": ground, "officer": self._officer_ids.of(officer)}
                await record(connection, "privacy", "excerpt.opened", payload, now=now, request_id=request_id)
        return await self._requests.open(new)

    async def read(self, request_id: str, officer: str) -> AsyncIterator[bytes]:
        """The excerpt as a ZIP, in pieces; the reading is on record before the first.

        Raises:
            DomainError: REQUEST_NOT_FOUND, EXPORT_NOT_READY, EXPORT_EXPIRED.
        """
        contents = await self._exports.excerpt(request_id)
        async with self._database.transaction() as connection:
            payload = {"officer": self._officer_ids.of(officer)}
            now = self._clock.now()
            await record(connection, "privacy", "excerpt.read", payload, now=now, request_id=request_id)
        async for piece in self._packages.packed(contents):
            yield piece
