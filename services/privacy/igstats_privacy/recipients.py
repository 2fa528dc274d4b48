"""Recipients: accounts that got a person's data are told of corrections, erasures and restrictions (GDPR 19).

They are noted when a request is accepted, because an erasure takes the connections that name them with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from igstats_kit.sql import Database
from ulid import ULID

from igstats_privacy import recipient_store
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.model import Naming, Recipient
from igstats_privacy.recipient_store import NewRecipient
from igstats_privacy.store import Connection

_PAGE = 50
_LONGEST_PAGE = 200


class Recipients:
    """Notes recipients and tells them."""

    def __init__(self, database: Database, identifiers: Identifiers) -> None:
        self._database = database
        self._identifiers = identifiers

    async def keep(
        self, connection: Connection, found: Mapping[str, tuple[Naming, Iterable[str]]], now: datetime
    ) -> None:
        """Writes the accounts that got the data of the persons whom accepted requests name."""
        rows = [
            self._row(request_id, account_id, naming)
            for request_id, (naming, accounts) in found.items()
            for account_id in accounts
        ]
        await recipient_store.keep(connection, rows, now)

    def _row(self, request_id: str, account_id: str, naming: Naming) -> NewRecipient:
        profiles = [one.value for one in naming.identifiers if one.kind == "INSTAGRAM_USER_ID"]
        sealed = self._identifiers.seal_recipient(request_id, account_id, profiles)
        token = self._identifiers.account_token(account_id)
        return NewRecipient(request_id, token, f"ntc_{str(ULID()).lower()}", sealed)

    async def of_request(self, request_id: str) -> list[Recipient]:
        """Who got the data of the person behind a request, and what each was told."""
        async with self._database.read() as connection:
            return [self._recipient(row) for row in await recipient_store.of_request(connection, request_id)]

    async def notices(self, account_id: str, page_size: int, before: str) -> tuple[list[Recipient], str]:
        """What an account is told, newest first, and where the next page starts ("" at the end)."""
        limit = min(page_size or _PAGE, _LONGEST_PAGE)
        token = self._identifiers.account_token(account_id)
        async with self._database.read() as connection:
            rows: Sequence[Any] = await recipient_store.of_account(connection, token, before, limit + 1)
        more = rows[limit - 1].notice_id if len(rows) > limit else ""
        return [self._recipient(row) for row in rows[:limit]], more

    def _recipient(self, row: Any) -> Recipient:  # noqa: ANN401 - a row of the store
        account_id, profiles = self._identifiers.open_recipient(row.request_id, bytes(row.sealed))
        return Recipient(row.notice_id, account_id, profiles, row.told, tuple(row.fields), row.told_at)
