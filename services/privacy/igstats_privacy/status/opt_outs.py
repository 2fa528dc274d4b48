"""Who has opted out of sale and sharing, or objected: asked before every disclosure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.sql import Database

from igstats_privacy.identifiers import Identifiers, normalised
from igstats_privacy.model import Identifier
from igstats_privacy.status import store


@dataclass(frozen=True)
class OptOut:
    """The entry of a person in the opt-out ledger."""

    opted_out: bool
    objected: bool
    door: str
    since: datetime | None


class OptOuts:
    """Reads the ledger of objections, which privacy keeps as every holder does."""

    def __init__(self, database: Database, identifiers: Identifiers) -> None:
        self._database = database
        self._identifiers = identifiers

    async def of(self, identifiers: Iterable[Identifier]) -> OptOut:
        """What is known of a person; one that nobody knows has not opted out.

        Raises:
            DomainError: SUBJECT_UNIDENTIFIED.
        """
        tokens = self._identifiers.tokens(normalised(identifiers))
        async with self._database.read() as connection:
            found = await store.objections_of(connection, tokens)
        first = found[0] if found else None
        rights = {one.right for one in found}
        return OptOut(
            "OPT_OUT" in rights, "OBJECTION" in rights, first.door if first else "", first.since if first else None
        )
