"""The erasure ledger as holders read it: what was accepted after a number, in order and without gaps."""

from dataclasses import replace

from igstats_kit.clock import Clock
from igstats_kit.sql import Database

from igstats_privacy import hold_store, holder_store
from igstats_privacy.errors import holder_unknown
from igstats_privacy.model import Erasure

_PAGE = 500


class Ledger:
    """Reads the ledger. Triage writes it, in the transaction that accepts an erasure."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def after(self, holder: str, sequence: int, page_size: int) -> list[Erasure]:
        """Entries after `sequence`, at most 500; none at the end.

        Raises:
            DomainError: HOLDER_UNKNOWN.
        """
        async with self._database.transaction() as connection:
            if not await holder_store.seen(connection, holder, self._clock.now()):
                raise holder_unknown(holder)
            found = await holder_store.erasures(connection, sequence, min(page_size or _PAGE, _PAGE))
            if not found:
                return []
            ids, ends = [one.request_id for one in found], (found[0].sequence, found[-1].sequence)
            holds = await hold_store.of_erasures(connection, holder, ends, ids, self._clock.now())
        return [replace(one, holds=tuple(holds.get(one.request_id, ()))) for one in found]
