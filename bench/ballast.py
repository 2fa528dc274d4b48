"""Persons in bulk, copied inside the databases: they make the tables long, and their tokens are hashes of numbers."""

from dataclasses import dataclass

from igstats_dev.crowd import CALLS, Somebody
from igstats_dev.layout import role
from igstats_dev.stack import Stack

_FAR = 1 << 41  # beyond the places that a crowd gives to its calls
_ACCOUNT, _PROFILE = "'acc_ballast' || n", f"{_FAR} + n"


def _token(kind: str) -> str:
    return f"sha256(convert_to('{kind}' || n, 'UTF8'))"


@dataclass(frozen=True)
class Copy:
    """Rows of one table that belong to the person copied, and what differs in each copy (SQL over `n`)."""

    service: str
    table: str
    of: str
    differs: dict[str, str]


_OF_ACCOUNT, _OF_USER = "account_id = $3", "instagram_user_id = $3"
_OF_PROFILE = "profile_id = (SELECT profile_id FROM profiles WHERE instagram_user_id = $3)"
COPIES = (
    Copy("gateway", "accounts", _OF_ACCOUNT, {"account_id": _ACCOUNT, "subject_token": _token("account")}),
    Copy(
        "gateway",
        "contacts",
        _OF_ACCOUNT,
        {
            "contact_id": "'con_ballast' || n",
            "account_id": _ACCOUNT,
            "id_token": _token("contact"),
            "email_token": _token("mail"),
            "email": "n || '@ballast.example'",
        },
    ),
    Copy("gateway", "billing_details", _OF_ACCOUNT, {"account_id": _ACCOUNT}),
    Copy("gateway", "usage_days", _OF_ACCOUNT, {"account_id": _ACCOUNT}),
    Copy(
        "stats",
        "profiles",
        _OF_USER,
        {
            "profile_id": _PROFILE,
            "user_token": _token("user"),
            "username_token": _token("name"),
            "instagram_user_id": "'9' || n",
            "username": "'ballast' || n",
        },
    ),
    Copy(
        "stats",
        "connections",
        _OF_PROFILE,
        {
            "connection_id": "'cxn_ballast' || n",
            "profile_id": _PROFILE,
            "account_id": _ACCOUNT,
            "account_token": _token("account"),
        },
    ),
    Copy("stats", "media", _OF_PROFILE, {"profile_id": _PROFILE, "media_id": "media_id || '-' || n"}),
    Copy("stats", "profile_samples", _OF_PROFILE, {"profile_id": _PROFILE}),
    Copy("stats", "profile_days", _OF_PROFILE, {"profile_id": _PROFILE}),
    Copy(
        "audit",
        "calls",
        f"index < {_FAR} AND t.call_id LIKE 'req_' || $3 || '_%'",
        {
            "call_id": "call_id || '_' || n",
            "subject_token": _token("account"),
            "index": f"{_FAR} + n * {CALLS} + index % {CALLS}",
        },
    ),
)


class Ballast:
    """Copies of one person, numbered from 0."""

    def __init__(self, stack: Stack, person: Somebody) -> None:
        self._stack = stack
        self._person = person
        self.count = 0

    async def grow(self, count: int) -> None:
        """Adds copies until there are `count`."""
        for copy in COPIES:
            await self._copy(copy, self.count, count - 1)
        self.count = count

    async def _copy(self, copy: Copy, first: int, last: int) -> None:
        key = self._person.instagram_user_id if copy.service == "stats" else self._person.account_id
        async with self._stack.postgres.admin(role(copy.service)) as connection:
            columns = await connection.fetch(
                "SELECT quote_ident(attname) AS name FROM pg_attribute"
                " WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
                copy.table,
            )
            names = [row["name"] for row in columns]
            values = [copy.differs.get(name.strip('"'), f"t.{name}") for name in names]
            await connection.execute(
                f"INSERT INTO {copy.table} ({', '.join(names)}) OVERRIDING SYSTEM VALUE"  # noqa: S608 - our own words
                f" SELECT {', '.join(values)} FROM {copy.table} t CROSS JOIN generate_series($1::bigint, $2) n"
                f" WHERE t.{copy.of}",
                first,
                last,
                key,
            )
            await connection.execute(f"VACUUM ANALYZE {copy.table}")
