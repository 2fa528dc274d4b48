"""The breach register (GDPR article 33(5)): every step is an event, and a record in the evidence log."""

from collections.abc import Sequence
from datetime import datetime

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database
from ulid import ULID

from igstats_privacy.errors import field_invalid
from igstats_privacy.officer_ids import OfficerIds
from igstats_privacy.records import store
from igstats_privacy.records.breach import Breach, BreachEvent, Kind, require_addable


class Breaches:
    """The use cases of breaches. Answers carry the time at which they were true."""

    def __init__(self, database: Database, officer_ids: OfficerIds, clock: Clock) -> None:
        self._database = database
        self._officer_ids = officer_ids
        self._clock = clock

    async def open(
        self, discovered: datetime, text: str, categories: Sequence[str], person_count: int, consequences: str, by: str
    ) -> tuple[Breach, datetime]:
        """Writes a new breach; its 72 hours began with the discovery, not with this call.

        Raises:
            DomainError: FIELD_INVALID; it was discovered in the future.
        """
        now = self._clock.now()
        if discovered > now:
            raise field_invalid("discovered_time", "must not be in the future")
        first = BreachEvent(by, now, Kind.DISCOVERED, text)
        breach_id = f"brc_{str(ULID()).lower()}"
        breach = Breach(breach_id, discovered, tuple(categories), person_count, consequences, (first,))
        async with self._database.transaction() as connection:
            await store.add_breach(connection, breach)
            payload = {
                "breach_id": breach_id,
                "discovered": discovered.isoformat(),
                "categories": list(categories),
                "person_count": person_count,
                "officer": self._officer_ids.of(by),
            }
            await record(connection, "privacy", "breach.opened", payload, now=now)
        return breach, now

    async def amend(self, breach_id: str, kind: Kind, text: str, by: str) -> tuple[Breach, datetime]:
        """Adds an event.

        Raises:
            DomainError: BREACH_NOT_FOUND, TRANSITION_NOT_ALLOWED.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            before = await store.lock_breach(connection, breach_id)
            if before is None:
                raise DomainError(Reason.BREACH_NOT_FOUND)
            require_addable(kind, before.events)
            event = BreachEvent(by, now, kind, text)
            await store.add_event(connection, breach_id, len(before.events), event)
            told = {"breach_id": breach_id, "event": kind, "number": len(before.events)}
            payload = {**told, "officer": self._officer_ids.of(by)}
            await record(connection, "privacy", "breach.amended", payload, now=now)
            after = await store.lock_breach(connection, breach_id)
        return after or before, now

    async def listed(self, *, open_only: bool) -> tuple[Sequence[Breach], datetime]:
        """All breaches, or those that are not closed, newest first."""
        async with self._database.read() as connection:
            found = await store.all_breaches(connection)
        return [one for one in found if not open_only or one.closed_at is None], self._clock.now()
