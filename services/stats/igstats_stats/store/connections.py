"""Connections and the leases to synchronise them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from igstats_kit.events import Event, take_inbox
from igstats_kit.fence import admit
from igstats_kit.outbox import enqueue
from igstats_kit.pins import Pins
from igstats_kit.seal import Sealer, SealError
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens
from sqlalchemy import Row, Select, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_stats.events import SYNC, SYNC_REQUESTED, connection_of, sync_requested
from igstats_stats.model import Connection, ConnectionState, Lease, ProfileFacts
from igstats_stats.store import profile_rows
from igstats_stats.store.fenced import profile_tokens, restricted
from igstats_stats.tables import connections, profiles

DEPARTED = "The profile's owner took the permission back at Instagram; the connection has ended."
RESTRICTED = "The profile's owner restricted the use of their data; nothing is synchronised meanwhile."

_DEPART = text(
    "WITH gone AS (UPDATE profiles SET departed_at = COALESCE(departed_at, :now)"
    " WHERE user_token = ANY(CAST(:tokens AS bytea[])) OR username_token = ANY(CAST(:tokens AS bytea[]))"
    " OR app_user_token = ANY(CAST(:tokens AS bytea[])) RETURNING profile_id)"
    " UPDATE connections AS c SET state = :dead, problem = :problem, sealed_token = NULL, due_at = NULL,"
    " blocked_until = NULL, lease_id = NULL, leased_until = NULL"
    " FROM gone WHERE c.profile_id = gone.profile_id AND (c.state <> :dead OR c.sealed_token IS NOT NULL)"
)
_STAY = text("UPDATE profiles SET departed_at = NULL WHERE profile_id = :profile AND departed_at IS NOT NULL")


def _context(account_id: str, profile_id: int) -> str:
    return f"connections.sealed_token:{account_id}:{profile_id}"


def _connections() -> "Select[Any]":
    joined = connections.join(profiles, connections.c.profile_id == profiles.c.profile_id)
    columns = [column for column in connections.c if column.name not in ("sealed_token", "account_token")]
    return select(*columns, profiles.c.instagram_user_id, restricted().label("restricted")).select_from(joined)


def _connection(row: Row[Any]) -> Connection:
    return Connection(
        connection_id=row.connection_id,
        account_id=row.account_id,
        profile_id=row.profile_id,
        instagram_user_id=row.instagram_user_id,
        state=ConnectionState(row.state),
        created_at=row.created_at,
        synced_at=row.synced_at,
        blocked_until=row.blocked_until,
        problem=RESTRICTED if row.restricted else row.problem,
        restricted=row.restricted,
    )


class ConnectionStore:
    """Connections of accounts to profiles. Tokens are sealed before they are written."""

    def __init__(self, database: Database, tokens: Tokens, sealer: Sealer) -> None:
        self._database = database
        self._tokens = tokens
        self._sealer = sealer
        self._pins = Pins(sealer)

    async def create(self, made: Connection, facts: ProfileFacts, access_token: str) -> Connection:
        """Writes the profile and the connection; an account that connects a profile again replaces its token.

        Raises:
            DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED.
        """
        owner = profile_tokens(self._tokens, facts)
        account = self._tokens.of("ACCOUNT_ID", made.account_id)
        async with self._database.transaction() as connection:
            await admit(connection, [*owner.known, account])
            profile_id = await profile_rows.ensure(connection, facts, owner, made.created_at)
            await profile_rows.write(connection, self._pins, profile_id, facts, owner, made.created_at)
            await connection.execute(_STAY, {"profile": profile_id})
            made = replace(made, profile_id=profile_id)
            connection_id = await self._upsert(connection, made, account, access_token)
            await enqueue(connection, SYNC_REQUESTED, sync_requested(connection_id))
        return await self._require(connection_id)

    async def _upsert(self, connection: AsyncConnection, made: Connection, account: bytes, access_token: str) -> str:
        fresh = {
            "sealed_token": self._sealer.seal(access_token.encode(), _context(made.account_id, made.profile_id)),
            "state": ConnectionState.ACTIVE,
            "problem": "",
            "blocked_until": None,
            "due_at": made.created_at,
            "lease_id": None,  # a synchronisation that runs with the old token must stop
            "leased_until": None,
        }
        row = {
            "connection_id": made.connection_id,
            "account_id": made.account_id,
            "account_token": account,
            "profile_id": made.profile_id,
            "created_at": made.created_at,
        }
        upsert = insert(connections).values(row | fresh)
        upsert = upsert.on_conflict_do_update(index_elements=["account_id", "profile_id"], set_=fresh)
        return str(await connection.scalar(upsert.returning(connections.c.connection_id)))

    async def _require(self, connection_id: str) -> Connection:
        async with self._database.read() as connection:
            wanted = _connections().where(connections.c.connection_id == connection_id)
            return _connection((await connection.execute(wanted)).one())

    async def get(self, account_id: str, connection_id: str) -> Connection | None:
        """A connection of the account."""
        own = (connections.c.account_id == account_id, connections.c.connection_id == connection_id)
        async with self._database.read() as connection:
            row = (await connection.execute(_connections().where(*own))).one_or_none()
        return _connection(row) if row is not None else None

    async def page(self, account_id: str, after: str, limit: int) -> list[Connection]:
        """Connections of the account by id, after an id."""
        own = (connections.c.account_id == account_id, connections.c.connection_id > after)
        wanted = _connections().where(*own).order_by(connections.c.connection_id).limit(limit)
        async with self._database.read() as connection:
            return [_connection(row) for row in await connection.execute(wanted)]

    async def delete(self, account_id: str, connection_id: str) -> bool:
        """Removes a connection with its token; the statistics stay for a time (`departures`) if it was the last one."""
        own = (connections.c.account_id == account_id, connections.c.connection_id == connection_id)
        async with self._database.transaction() as connection:
            return (await connection.execute(delete(connections).where(*own))).rowcount > 0

    async def depart(self, identifiers: Sequence[tuple[str, str]], now: datetime) -> int:
        """Destroys the tokens of all connections to the profiles named; a synchronisation that runs stops.

        The profile remembers since when, the first time counts; connecting it again forgets that.
        """
        tokens = [self._tokens.of(kind, value) for kind, value in identifiers]
        binds = {"tokens": tokens, "now": now, "dead": ConnectionState.TOKEN_DEAD, "problem": DEPARTED}
        async with self._database.transaction() as connection:
            return (await connection.execute(_DEPART, binds)).rowcount

    async def request_sync(self, connection_id: str, now: datetime) -> None:
        """Makes a connection due and tells all replicas."""
        async with self._database.transaction() as connection:
            await self._make_due(connection, [connection_id], now)
            await enqueue(connection, SYNC_REQUESTED, sync_requested(connection_id))

    async def take_requests(self, events: Sequence[Event], now: datetime) -> None:
        """Makes the connections due that events ask for; a repeated event or an unknown connection changes nothing."""
        async with self._database.transaction() as connection:
            fresh = await take_inbox(connection, SYNC.durable, events)
            await self._make_due(connection, [connection_of(event) for event in fresh], now)

    @staticmethod
    async def _make_due(connection: AsyncConnection, connection_ids: Sequence[str], now: datetime) -> None:
        """Blocked connections stay blocked and dead ones dead: calling Instagram would not help them."""
        able = (connections.c.connection_id.in_(connection_ids), connections.c.state == ConnectionState.ACTIVE)
        await connection.execute(update(connections).where(*able).values(due_at=func.least(connections.c.due_at, now)))

    async def lease(self, lease_id: str, now: datetime, until: datetime, limit: int) -> list[Lease]:
        """Takes connections that are due, the longest waiting first; other replicas skip them. Restricted ones wait."""
        free = or_(connections.c.leased_until.is_(None), connections.c.leased_until < now)
        joined = connections.join(profiles, connections.c.profile_id == profiles.c.profile_id)
        due = (
            select(connections.c.connection_id)
            .select_from(joined)
            .where(connections.c.due_at <= now, free, ~restricted())
            .order_by(connections.c.due_at)
            .limit(limit)
            .with_for_update(of=connections, skip_locked=True)
            .cte("due")  # read once: as a subquery it could be read again and lock more than `limit`
        )
        taken = (
            update(connections)
            .where(
                connections.c.connection_id == due.c.connection_id, connections.c.profile_id == profiles.c.profile_id
            )
            .values(lease_id=lease_id, leased_until=until)
            .returning(connections, profiles)
        )
        async with self._database.transaction() as connection:
            return [self._lease(row) for row in await connection.execute(taken)]

    def _lease(self, row: Row[Any]) -> Lease:
        tokens = (row.user_token, row.username_token, row.app_user_token)
        return Lease(
            lease_id=row.lease_id,
            connection_id=row.connection_id,
            profile_id=row.profile_id,
            instagram_user_id=row.instagram_user_id,
            access_token=self._opened(row),
            tokens=tuple(bytes(token) for token in tokens if token is not None),
            media_walked_at=row.media_walked_at,
            audience_due_at=row.audience_due_at,
        )

    def _opened(self, row: Row[Any]) -> str:
        """The token; empty when it does not open, which ends the connection as a dead token does."""
        try:
            return self._sealer.open(bytes(row.sealed_token), _context(row.account_id, row.profile_id)).decode()
        except SealError:
            return ""

    async def finish(self, lease: Lease, now: datetime, next_due: datetime) -> None:
        """Ends a synchronisation that went well."""
        await self._end_lease(
            lease, state=ConnectionState.ACTIVE, problem="", synced_at=now, blocked_until=None, due_at=next_due
        )

    async def postpone(self, lease: Lease, problem: str, next_due: datetime) -> None:
        """Ends a synchronisation that did not come through; the connection stays ACTIVE."""
        state = ConnectionState.ACTIVE
        await self._end_lease(lease, state=state, problem=problem, blocked_until=None, due_at=next_due)

    async def throttle(self, lease: Lease, problem: str, until: datetime) -> None:
        """Ends a synchronisation because Instagram wants no calls until a time."""
        state = ConnectionState.THROTTLED
        await self._end_lease(lease, state=state, problem=problem, blocked_until=until, due_at=until)

    async def end(self, lease: Lease, problem: str) -> None:
        """Ends the connection for good: the token is destroyed and nothing is synchronised any more."""
        state = ConnectionState.TOKEN_DEAD
        await self._end_lease(lease, state=state, problem=problem, sealed_token=None, due_at=None)

    async def _end_lease(self, lease: Lease, **values: object) -> None:
        mine = (connections.c.connection_id == lease.connection_id, connections.c.lease_id == lease.lease_id)
        ended = update(connections).where(*mine).values(lease_id=None, leased_until=None, **values)
        async with self._database.transaction() as connection:
            await connection.execute(ended)
