"""Made-up persons in bulk, for benchmarks and fire tests: about 50 rows each, in gateway, stats and audit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from igstats_audit.tables import calls
from igstats_gateway.tables import accounts, billing_details, contacts, usage_days
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens, email_sha256
from igstats_stats.tables import connections, media, profile_days, profile_samples, profiles
from sqlalchemy import Table, func, insert, select

from igstats_dev.stack import Stack

NOW = datetime.now(UTC)
TODAY = NOW.date()
CALLS, USAGE_DAYS, MEDIA, SAMPLES, DAYS = 20, 12, 8, 3, 2
ROWS_A_PERSON = 3 + USAGE_DAYS + CALLS + 2 + MEDIA + SAMPLES + DAYS
_FAR = 1 << 40  # no real call has such a place in the log
HELD_BY = {
    "gateway": (billing_details, contacts, usage_days, accounts),
    "stats": (media, profile_days, profile_samples, connections, profiles),
    "audit": (calls,),
}


@dataclass(frozen=True)
class Somebody:
    """One made-up person: an account and the Instagram profile that it connected."""

    number: int
    offset: int

    @property
    def account_id(self) -> str:
        """Their account."""
        return f"acc_bench{self.offset + self.number:08d}"

    @property
    def instagram_user_id(self) -> str:
        """Their profile."""
        return f"178414{self.offset + self.number:011d}"


Row = dict[str, Any]
Rows = list[tuple[Table, list[Row]]]


def _gateway(person: Somebody, tokens: Tokens) -> Rows:
    account, email = person.account_id, f"{person.account_id}@bench.example"
    contact = f"con_{account.removeprefix('acc_')}_1"
    ids: Row = {"account_id": account}
    use = [
        ids | {"day": TODAY - timedelta(days=n), "method": "GetProfile", "calls": n, "errors": 0}
        for n in range(USAGE_DAYS)
    ]
    named = ids | {"contact_id": contact, "email": email, "name": "Bench", "created_at": NOW}
    marks: Row = {"id_token": tokens.of("CONTACT_ID", contact), "email_token": tokens.of("EMAIL", email)}
    marks["hash_token"] = tokens.of("EMAIL_SHA256", email_sha256(email))
    token = {"subject_token": tokens.of("ACCOUNT_ID", account)}
    return [
        (accounts, [ids | token | {"company": "Bench", "contacts_made": 1, "created_at": NOW}]),
        (contacts, [named | marks]),
        (billing_details, [ids | {"name": "Bench", "address": "1 Bench Road", "vat_number": "DE1"}]),
        (usage_days, use),
    ]


def _stats(person: Somebody, tokens: Tokens, profile_id: int) -> Rows:
    ids: Row = {"profile_id": profile_id}
    posts = [
        ids
        | {"media_id": f"{profile_id}-{n}", "media_type": "IMAGE", "product_type": "FEED", "caption": "bench"}
        | {"permalink": "https://example.com", "posted_at": NOW, "likes": n, "revision": 1, "observed_at": NOW}
        for n in range(MEDIA)
    ]
    seen = [ids | {"observed_at": NOW - timedelta(hours=n), "day": TODAY, "followers_count": n} for n in range(SAMPLES)]
    daily = [
        ids | {"day": TODAY - timedelta(days=n), "reach": n, "revision": 1, "settled": True, "observed_at": NOW}
        for n in range(DAYS)
    ]
    connection: Row = {"connection_id": f"cxn_{profile_id}", "account_id": person.account_id, "state": "ACTIVE"}
    connection |= {"account_token": tokens.of("ACCOUNT_ID", person.account_id), "problem": "", "created_at": NOW}
    return [(connections, [ids | connection]), (media, posts), (profile_samples, seen), (profile_days, daily)]


def _profile(person: Somebody, tokens: Tokens) -> dict[str, Any]:
    known: Row = {"instagram_user_id": person.instagram_user_id, "username": f"bench{person.offset + person.number}"}
    marks: Row = {"user_token": tokens.of("INSTAGRAM_USER_ID", known["instagram_user_id"])}
    marks["username_token"] = tokens.of("USERNAME", known["username"])
    return known | marks | {"name": "", "biography": "", "website": "", "revision": 1, "observed_at": NOW}


def _calls(person: Somebody, tokens: Tokens) -> list[Row]:
    """The rows that find a person's calls in the access log."""
    account, first = person.account_id, _FAR + (person.offset + person.number) * CALLS
    found: Row = {"subject_token": tokens.of("ACCOUNT_ID", account), "day": TODAY, "called_at": NOW, "status": 0}
    return [found | {"call_id": f"req_{account}_{n}", "index": first + n} for n in range(CALLS)]


class Crowd:
    """Writes persons into the databases of a running stack, and counts what is left of them."""

    def __init__(self, stack: Stack, *, first: int = 0) -> None:
        environments = {name: stack.environment(name) for name in stack.services}
        self.databases = {
            name: Database(environments[name][f"IGSTATS_{name.upper()}_DATABASE_URL"]) for name in environments
        }
        self.tokens = Tokens(Path(environments["stats"]["IGSTATS_SUPPRESSION_KEY"]).read_bytes())
        self._made = first

    async def close(self) -> None:
        """Closes the connections."""
        await asyncio.gather(*(database.close() for database in self.databases.values()))

    async def make(self, count: int) -> list[Somebody]:
        """Adds `count` persons."""
        people = [Somebody(number, self._made) for number in range(count)]
        self._made += count
        await self._write("gateway", [part for person in people for part in _gateway(person, self.tokens)])
        await self._write("audit", [(calls, _calls(person, self.tokens)) for person in people])
        async with self.databases["stats"].transaction() as connection:
            rows = insert(profiles).values([_profile(person, self.tokens) for person in people])
            made = (await connection.execute(rows.returning(profiles.c.profile_id))).scalars().all()
        parts = [part for person, key in zip(people, made, strict=True) for part in _stats(person, self.tokens, key)]
        await self._write("stats", parts)
        return people

    async def _write(self, service: str, parts: Rows) -> None:
        by_table: dict[Table, list[dict[str, Any]]] = {}
        for table, rows in parts:
            by_table.setdefault(table, []).extend(rows)
        async with self.databases[service].transaction() as connection:
            for table, rows in by_table.items():
                await connection.execute(insert(table), rows)

    async def profiles_of(self, people: Sequence[Somebody]) -> int:
        """How many of the persons' profiles are there."""
        wanted = profiles.c.instagram_user_id.in_([person.instagram_user_id for person in people])
        async with self.databases["stats"].read() as connection:
            return await connection.scalar(select(func.count()).select_from(profiles).where(wanted)) or 0

    async def left(self) -> int:
        """Rows of made-up persons that are still there, over all holders."""
        total = 0
        for service, tables in HELD_BY.items():
            async with self.databases[service].read() as connection:
                for table in tables:
                    total += await connection.scalar(select(func.count()).select_from(table)) or 0
        return total
