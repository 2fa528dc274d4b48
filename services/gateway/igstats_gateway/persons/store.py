"""SQL of the persons on file."""

from collections.abc import Collection, Sequence

from igstats_kit.fence import admitted
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens, email_sha256
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_gateway.persons.rules import OnFile

_BATCH = 500

# Each token by its own index; an account means every contact that it has, or itself when it has none.
_FOUND = text(
    "WITH t AS (SELECT unnest(CAST(:tokens AS bytea[])) AS token), f AS ("
    "SELECT c.account_id, c.contact_id FROM t JOIN contacts c ON c.id_token = t.token"
    " UNION SELECT c.account_id, c.contact_id FROM t JOIN contacts c ON c.email_token = t.token"
    " UNION SELECT c.account_id, c.contact_id FROM t JOIN contacts c ON c.hash_token = t.token"
    " UNION SELECT a.account_id, c.contact_id FROM t JOIN accounts a ON a.subject_token = t.token"
    " LEFT JOIN contacts c ON c.account_id = a.account_id)"
    " SELECT f.account_id, coalesce(f.contact_id, '') AS contact_id, coalesce(c.email, '') AS email,"
    " coalesce(c.name, '') AS contact_name, a.company, coalesce(b.address, '') AS billing_address,"
    " coalesce(b.vat_number, '') AS vat_number, a.created_at,"
    " ARRAY(SELECT k.key_id FROM api_keys k WHERE k.account_id = f.account_id) AS key_ids,"
    " array_remove(ARRAY[a.subject_token, c.id_token, c.email_token, c.hash_token], NULL) AS tokens"
    " FROM f JOIN accounts a ON a.account_id = f.account_id LEFT JOIN contacts c ON c.contact_id = f.contact_id"
    " LEFT JOIN billing_details b ON b.account_id = f.account_id ORDER BY f.account_id, contact_id LIMIT :limit"
)
_UNHASHED = text(
    "SELECT contact_id, email FROM contacts WHERE hash_token IS NULL ORDER BY contact_id LIMIT :limit"
    " FOR UPDATE SKIP LOCKED"
)
_HASH = text("UPDATE contacts SET hash_token = :token WHERE contact_id = :contact_id")


class PersonStore:
    """Reads contacts by their names."""

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens

    def tokens(self, names: Collection[tuple[str, str]]) -> frozenset[bytes]:
        """The tokens of names, each a kind and a value.

        Raises:
            DomainError: SUBJECT_UNIDENTIFIED: one of them is empty.
        """
        return frozenset(self._tokens.of(kind, value) for kind, value in names)

    async def find(self, tokens: Collection[bytes], limit: int) -> Sequence[OnFile]:
        """Persons who bear one of the names."""
        async with self._database.read() as connection:
            return await _find(connection, tokens, limit)

    async def find_unrestricted(self, tokens: Collection[bytes], limit: int) -> Sequence[OnFile]:
        """Those of them whose data may be used: not restricted, not about to be erased."""
        async with self._database.transaction() as connection:
            found = await _find(connection, tokens, limit)
            free = await admitted(connection, {token for person in found for token in person.tokens})
        return [person for person in found if free.issuperset(person.tokens)]

    async def complete(self) -> int:
        """Gives contacts that older code has written the token of their address's hash; answers how many."""
        done = 0
        while True:
            async with self._database.transaction() as connection:
                rows = (await connection.execute(_UNHASHED, {"limit": _BATCH})).all()
                for row in rows:
                    token = self._tokens.of("EMAIL_SHA256", email_sha256(row.email))
                    await connection.execute(_HASH, {"token": token, "contact_id": row.contact_id})
            done += len(rows)
            if len(rows) < _BATCH:
                return done


async def _find(connection: AsyncConnection, tokens: Collection[bytes], limit: int) -> Sequence[OnFile]:
    rows = await connection.execute(_FOUND, {"tokens": list(tokens), "limit": limit})
    return [
        OnFile(
            account_id=row.account_id,
            contact_id=row.contact_id,
            email=row.email,
            contact_name=row.contact_name,
            company=row.company,
            billing_address=row.billing_address,
            vat_number=row.vat_number,
            key_ids=tuple(row.key_ids),
            created_at=row.created_at,
            tokens=tuple(map(bytes, row.tokens)),
        )
        for row in rows
    ]
