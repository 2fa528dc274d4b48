"""SQL of what the doors for other machines remember."""

from collections.abc import Sequence
from datetime import datetime

from igstats_kit.sql import Database
from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert

from igstats_gateway.doors.dealing import Dealing, Due, Turn
from igstats_gateway.doors.tables import agent_tokens, partner_callbacks, partner_requests

# Claimed for a while: a process that dies gives its callback back by itself.
_CLAIM = text(
    "UPDATE partner_callbacks c SET next_at = :until FROM partner_requests r"
    " WHERE (c.door, c.partner_id, c.external_id, c.number) = (SELECT door, partner_id, external_id, number"
    " FROM partner_callbacks WHERE next_at <= :now ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " AND (r.door, r.partner_id, r.external_id) = (c.door, c.partner_id, c.external_id)"
    " RETURNING r.*, c.number, c.sealed, c.told, c.attempts, c.failing_since"
)
_TURN = text(
    "UPDATE partner_callbacks SET told = :told, attempts = :attempts, failing_since = :failing_since,"
    " next_at = :next_at"
    " WHERE door = :door AND partner_id = :partner_id AND external_id = :external_id AND number = :number"
)


class PartnerStore:
    """Reads and writes agents' tokens, partners' requests and their callbacks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_token(self, agent_id: str, digest: bytes, now: datetime) -> None:
        """The agent's token; the one before ends."""
        row = insert(agent_tokens).values(agent_id=agent_id, token_digest=digest, created_at=now)
        again = row.on_conflict_do_update(index_elements=["agent_id"], set_={"token_digest": digest, "created_at": now})
        async with self._database.transaction() as connection:
            await connection.execute(again)

    async def token(self, agent_id: str) -> bytes | None:
        """The digest of the agent's token."""
        wanted = select(agent_tokens.c.token_digest).where(agent_tokens.c.agent_id == agent_id)
        async with self._database.read() as connection:
            found = (await connection.execute(wanted)).scalar_one_or_none()
        return None if found is None else bytes(found)

    async def add(self, dealing: Dealing, sealed: Sequence[tuple[bytes, bytes]], next_at: datetime) -> bool:
        """Writes a partner's request with its callbacks (sealed, told); False when it is there already."""
        row = {name: getattr(dealing, name) for name in partner_requests.c.keys()}  # noqa: SIM118 - no dict
        made = insert(partner_requests).values(row).on_conflict_do_nothing()
        async with self._database.transaction() as connection:
            if not (await connection.execute(made)).rowcount:
                return False
            rest = {"attempts": 0, "next_at": next_at, "created_at": dealing.created_at}
            rows = [
                {**dealing.key, "number": number, "sealed": one, "told": told, **rest}
                for number, (one, told) in enumerate(sealed)
            ]
            if rows:
                await connection.execute(insert(partner_callbacks), rows)
        return True

    async def find(self, door: str, partner_id: str, external_id: str) -> Dealing | None:
        """A partner's request."""
        table = partner_requests.c
        wanted = select(partner_requests).where(
            table.door == door, table.partner_id == partner_id, table.external_id == external_id
        )
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return None if row is None else _dealing(row)

    async def claim(self, now: datetime, until: datetime) -> Due | None:
        """The next callback to look at, for this caller alone until `until`."""
        async with self._database.statement() as connection:
            row = (await connection.execute(_CLAIM, {"now": now, "until": until})).first()
        if row is None:
            return None
        return Due(_dealing(row), row.number, bytes(row.sealed), bytes(row.told), row.attempts, row.failing_since)

    async def turn(self, due: Due, turn: Turn) -> None:
        """Remembers what a look has brought."""
        said = {name: getattr(turn, name) for name in ("told", "attempts", "failing_since", "next_at")}
        async with self._database.statement() as connection:
            await connection.execute(_TURN, {**due.dealing.key, "number": due.number, **said})


def _dealing(row: Row[tuple[object, ...]]) -> Dealing:
    return Dealing(
        door=row.door,
        partner_id=row.partner_id,
        external_id=row.external_id,
        reference=row.reference,
        request_id=row.request_id,
        status_code=row.status_code,
        created_at=row.created_at,
    )
