"""The SQL of what a security audit may know of keys."""

from collections.abc import Sequence

from igstats_kit.sql import Database
from sqlalchemy import select

from igstats_gateway.model import KeyFacts
from igstats_gateway.tables import api_keys

_FACTS = select(
    api_keys.c.key_id,
    api_keys.c.scopes,
    api_keys.c.used_scopes,
    api_keys.c.created_at,
    api_keys.c.last_used_day,
    api_keys.c.expire_at,
    api_keys.c.revoked_at,
).order_by(api_keys.c.key_id)


class InspectionStore:
    """Reads facts of keys: no hash, no label, no account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def key_facts(self, after: str, limit: int) -> Sequence[KeyFacts]:
        """Keys of all accounts whose id comes after the given one, by id."""
        async with self._database.read() as connection:
            rows = await connection.execute(_FACTS.where(api_keys.c.key_id > after).limit(limit))
            return [
                KeyFacts(
                    key_id=row.key_id,
                    scopes=tuple(row.scopes),
                    used_scopes=tuple(row.used_scopes),
                    created_time=row.created_at,
                    last_used_day=row.last_used_day,
                    expire_time=row.expire_at,
                    revoked=row.revoked_at is not None,
                )
                for row in rows
            ]
