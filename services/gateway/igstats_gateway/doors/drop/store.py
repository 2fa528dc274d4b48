"""SQL of DROP: what arrives is matched and written in one transaction, and every step is remembered before the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.record import record
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from ulid import ULID

from igstats_gateway.doors.drop import rules
from igstats_gateway.doors.drop.rules import EMAIL, Listing, Outcome
from igstats_gateway.doors.model import Right
from igstats_gateway.events import SERVICE

_CHUNK = 5000

_PULL = text("INSERT INTO drop_pulls (pull_id, state, created_at, reported_at) VALUES (:pull, :state, :now, :reported)")
_LIST = text("INSERT INTO drop_lists (pull_id, name, state, created_at) VALUES (:pull, :name, :state, :now)")
_PERSONS = text(
    "SELECT t.token AS hashed, c.email, c.email_token, c.name FROM unnest(CAST(:tokens AS bytea[])) AS t(token)"
    " JOIN contacts c ON c.hash_token = t.token"
)
_ITEMS = text(
    "INSERT INTO drop_items (pull_id, item_id, name, token, sealed, wish, outcome, created_at)"
    " SELECT :pull, i.item_id, :name, i.token, i.sealed, i.wish, i.outcome, :now FROM unnest(CAST(:ids AS text[]),"
    " CAST(:tokens AS bytea[]), CAST(:seals AS bytea[]), CAST(:wishes AS text[]), CAST(:outcomes AS smallint[]))"
    " AS i(item_id, token, sealed, wish, outcome)"
)
_OPEN = text("SELECT pull_id FROM drop_pulls WHERE state = 'OPEN'")
_LAST = text("SELECT max(created_at) FROM drop_pulls")
_WISHES = text(
    "SELECT item_id, wish, sealed FROM drop_items WHERE pull_id = :pull AND outcome IS NULL AND status_code IS NULL"
    " ORDER BY item_id LIMIT :limit"
)
_OPENED = text("UPDATE drop_items SET status_code = :code, sealed = NULL WHERE pull_id = :pull AND item_id = :item")
_UNDER_WAY = text(
    "SELECT item_id, wish, status_code FROM drop_items WHERE pull_id = :pull AND outcome IS NULL"
    " AND status_code IS NOT NULL AND item_id > :after ORDER BY item_id LIMIT :limit"
)
_SETTLED = text("UPDATE drop_items SET outcome = :outcome, token = NULL WHERE pull_id = :pull AND item_id = :item")
_LISTS = text("SELECT name, state FROM drop_lists WHERE pull_id = :pull AND state <> 'SENT' ORDER BY name")
_MARK = text("UPDATE drop_lists SET state = :state WHERE pull_id = :pull AND name = :name")
_ANSWERS = text(
    "SELECT item_id, outcome FROM drop_items WHERE pull_id = :pull AND name = :name AND outcome IS NOT NULL"
    " ORDER BY item_id"
)
_COUNTS = text("SELECT outcome, count(*) AS items FROM drop_items WHERE pull_id = :pull GROUP BY outcome")
_REPORTED = text("UPDATE drop_pulls SET state = 'DONE', reported_at = :now WHERE pull_id = :pull")
_CHANGE = text(
    "UPDATE drop_items i SET outcome = :outcome, amending = true FROM drop_pulls p WHERE i.item_id = :item"
    " AND p.pull_id = i.pull_id AND p.state = 'DONE' AND i.outcome <> :outcome"
    " AND i.pull_id = (SELECT max(pull_id) FROM drop_items WHERE item_id = :item)"
)
_AMENDED = text(
    "SELECT pull_id, name, array_agg(item_id ORDER BY item_id) AS items,"
    " array_agg(outcome ORDER BY item_id) AS outcomes"
    " FROM drop_items WHERE amending GROUP BY pull_id, name ORDER BY pull_id, name"
)
_AMENDMENT_SENT = text(
    "UPDATE drop_items AS i SET amending = false FROM unnest(CAST(:items AS text[]), CAST(:outcomes AS smallint[]))"
    " AS s(item_id, outcome) WHERE i.pull_id = :pull AND i.item_id = s.item_id AND i.outcome = s.outcome"
)


@dataclass(frozen=True)
class Match:
    """An item whose person is here, and what is to be asked of privacy."""

    item_id: str
    wish: Right
    address: str


@dataclass(frozen=True)
class Pending:
    """An item whose request is under way."""

    item_id: str
    wish: Right
    status_code: str


@dataclass(frozen=True)
class Amendment:
    """Answers to a list that have changed since they were reported."""

    pull_id: str
    name: str
    answers: tuple[tuple[str, int], ...]


class DropStore:
    """Pulls, lists and items."""

    def __init__(self, database: Database, tokens: Tokens, sealer: Sealer) -> None:
        self._database = database
        self._tokens = tokens
        self._sealer = sealer

    async def open_pull(self) -> str | None:
        """The pull that is not reported yet; there is at most one."""
        async with self._database.read() as connection:
            found: str | None = await connection.scalar(_OPEN)
        return found

    async def last_pull(self) -> datetime | None:
        """When the lists were last pulled, whatever came."""
        async with self._database.read() as connection:
            found: datetime | None = await connection.scalar(_LAST)
        return found

    async def take_in(self, listings: Sequence[Listing], now: datetime) -> str:
        """Writes a pull: who is here is matched now, hashes are forgotten when this returns. Answers its id.

        A list of removed identifiers changes nothing: DROP sends it when all earlier items are reported, so their
        requests have ended, and what was deleted cannot be given back.
        """
        pull = f"drop_{ULID()}".lower()
        state, reported = ("OPEN", None) if any(map(rules.is_answered, listings)) else ("DONE", now)
        async with self._database.transaction() as connection:
            await connection.execute(_PULL, {"pull": pull, "state": state, "now": now, "reported": reported})
            for listing in listings:
                await self._take_list(connection, pull, listing, now)
            counts = {one.name: {"items": len(one.rows), "malformed": one.malformed} for one in listings}
            await record(connection, SERVICE, "drop.pulled", {"pull": pull, "lists": counts}, now=now)
        return pull

    async def _take_list(self, connection: AsyncConnection, pull: str, listing: Listing, now: datetime) -> None:
        state = "WAITING" if rules.is_answered(listing) else "SENT"
        await connection.execute(_LIST, {"pull": pull, "name": listing.name, "state": state, "now": now})
        if state == "SENT":
            return
        for rows in rules.chunks(listing.rows, _CHUNK):
            found = await self._persons(connection, rows) if listing.kind == EMAIL else {}
            await connection.execute(_ITEMS, self._columns(pull, listing.name, rows, found, now))

    async def _persons(
        self, connection: AsyncConnection, rows: Sequence[tuple[str, str]]
    ) -> Mapping[str, tuple[bytes, str, Right]]:
        """Who is here, by item: token and address, and what is to be asked."""
        hashed = {item: digest for item, given in rows if (digest := rules.hex_of(given))}
        items = {self._tokens.of("EMAIL_SHA256", digest): item for item, digest in hashed.items()}
        persons: dict[str, list[tuple[bytes, str, str]]] = {}
        for row in await connection.execute(_PERSONS, {"tokens": list(items)}):
            persons.setdefault(items[bytes(row.hashed)], []).append((bytes(row.email_token), row.email, row.name))
        return {
            item: (found[0][0], found[0][1], rules.wish_for({name for _, _, name in found}))
            for item, found in persons.items()
        }

    def _columns(
        self,
        pull: str,
        name: str,
        rows: Sequence[tuple[str, str]],
        found: Mapping[str, tuple[bytes, str, Right]],
        now: datetime,
    ) -> Mapping[str, object]:
        ids = [item for item, _ in rows]
        matched = [found.get(item) for item in ids]
        seals = [
            self._sealer.seal(one[1].encode(), _place(pull, item)) if one else None
            for item, one in zip(ids, matched, strict=True)
        ]
        return {
            "pull": pull,
            "name": name,
            "now": now,
            "ids": ids,
            "tokens": [one[0] if one else None for one in matched],
            "seals": seals,
            "wishes": [str(one[2]) if one else None for one in matched],
            "outcomes": [None if one else int(Outcome.NOT_FOUND) for one in matched],
        }

    async def matches(self, pull: str, limit: int) -> list[Match]:
        """Items for which privacy has not been asked yet, or whose answer was lost."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_WISHES, {"pull": pull, "limit": limit})).all()
        return [
            Match(row.item_id, Right(row.wish), self._sealer.open(row.sealed, _place(pull, row.item_id)).decode())
            for row in rows
        ]

    async def opened(self, pull: str, item_id: str, status_code: str) -> None:
        """Privacy has the request; the address is not needed any more."""
        async with self._database.statement() as connection:
            await connection.execute(_OPENED, {"pull": pull, "item": item_id, "code": status_code})

    async def under_way(self, pull: str, after: str, limit: int) -> list[Pending]:
        """Items whose requests have not been seen to end, by id."""
        binds = {"pull": pull, "after": after, "limit": limit}
        async with self._database.read() as connection:
            rows = (await connection.execute(_UNDER_WAY, binds)).all()
        return [Pending(row.item_id, Right(row.wish), row.status_code) for row in rows]

    async def settled(self, pull: str, item_id: str, outcome: Outcome) -> None:
        """Keeps the outcome and forgets the person."""
        async with self._database.statement() as connection:
            await connection.execute(_SETTLED, {"pull": pull, "item": item_id, "outcome": int(outcome)})

    async def lists(self, pull: str) -> list[tuple[str, bool]]:
        """Lists that are not reported yet, and whether reporting was tried before."""
        async with self._database.read() as connection:
            return [(row.name, row.state == "SENDING") for row in await connection.execute(_LISTS, {"pull": pull})]

    async def mark(self, pull: str, name: str, state: str) -> None:
        """Remembers that a list is SENDING or SENT."""
        async with self._database.statement() as connection:
            await connection.execute(_MARK, {"pull": pull, "name": name, "state": state})

    async def answers(self, pull: str, name: str) -> list[tuple[str, int]]:
        """What is to be said of each item of a list."""
        async with self._database.read() as connection:
            rows = await connection.execute(_ANSWERS, {"pull": pull, "name": name})
            return [(row.item_id, row.outcome) for row in rows]

    async def finish(self, pull: str, now: datetime) -> Mapping[str, int]:
        """Ends a pull that is reported; answers how many items had which outcome."""
        async with self._database.transaction() as connection:
            rows = await connection.execute(_COUNTS, {"pull": pull})
            counts = {Outcome(row.outcome).name: row.items for row in rows}
            await connection.execute(_REPORTED, {"pull": pull, "now": now})
            await record(connection, SERVICE, "drop.reported", {"pull": pull, "outcomes": counts}, now=now)
        return counts

    async def change(self, item_id: str, outcome: Outcome, now: datetime) -> bool:
        """Corrects a reported outcome, to be amended; False when it is not reported, or says so already."""
        async with self._database.transaction() as connection:
            changed = await connection.execute(_CHANGE, {"item": item_id, "outcome": int(outcome)})
            if changed.rowcount:
                payload = {"item": item_id, "outcome": outcome.name}
                await record(connection, SERVICE, "drop.amended", payload, now=now)
        return bool(changed.rowcount)

    async def amendments(self) -> list[Amendment]:
        """Corrected outcomes that DROP has not been told, by list."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_AMENDED)).all()
        return [Amendment(row.pull_id, row.name, tuple(zip(row.items, row.outcomes, strict=True))) for row in rows]

    async def amended(self, one: Amendment) -> None:
        """DROP has these; what was corrected once more meanwhile stays to be told."""
        items, outcomes = [item for item, _ in one.answers], [outcome for _, outcome in one.answers]
        async with self._database.statement() as connection:
            binds = {"pull": one.pull_id, "items": items, "outcomes": outcomes}
            await connection.execute(_AMENDMENT_SENT, binds)


def _place(pull: str, item_id: str) -> str:
    return f"drop_items.sealed:{pull}:{item_id}"
