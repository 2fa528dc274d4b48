"""SQL of recipients: who got a person's data, and what there is to tell them (GDPR 19)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.sql import fetch
from sqlalchemy import Row, text

from igstats_privacy.store import Connection

_KEEP = text(
    "INSERT INTO recipients (request_id, account_token, notice_id, sealed, created_at)"
    " SELECT g.*, CAST(:now AS timestamptz) FROM unnest(CAST(:requests AS text[]), CAST(:accounts AS bytea[]),"
    " CAST(:notices AS text[]), CAST(:sealed AS bytea[])) AS g ON CONFLICT DO NOTHING"
)
_CORRECT = text(
    "UPDATE recipients r SET fields = (SELECT array_agg(DISTINCT f ORDER BY f) FROM unnest(r.fields || g.fields) AS f)"
    " FROM (SELECT request_id, array_agg(field) AS fields FROM unnest(CAST(:requests AS text[]),"
    " CAST(:fields AS text[])) AS u(request_id, field) GROUP BY request_id) AS g WHERE r.request_id = g.request_id"
)
# A recipient is told once the holders have done it; until then, and of a right that changes no copies, told is empty.
_READ = (
    "SELECT r.notice_id, r.request_id, r.sealed, r.fields, t.told, CASE WHEN t.told <> '' THEN"
    " (SELECT max(settled_at) FROM tasks WHERE tasks.request_id = r.request_id) END AS told_at"
    " FROM recipients r JOIN requests q USING (request_id) CROSS JOIN LATERAL (SELECT CASE"
    " WHEN q.right = 'CORRECTION' AND cardinality(r.fields) > 0 THEN 'CORRECTED'"
    " WHEN q.state NOT IN ('SETTLING', 'FULFILLED', 'FULFILLED_IN_PART') THEN ''"
    " WHEN q.right = 'ERASURE' THEN 'ERASED' WHEN q.right = 'RESTRICTION' THEN 'RESTRICTED'"
    " WHEN q.right = 'LIFTING' THEN 'LIFTED' ELSE '' END AS told) AS t"
)
_OF_REQUEST = text(f"{_READ} WHERE r.request_id = :request_id ORDER BY r.notice_id")
_OF_ACCOUNT = text(
    f"{_READ} WHERE r.account_token = :account AND (:before = '' OR r.notice_id < :before) AND t.told <> ''"
    " ORDER BY r.notice_id DESC LIMIT :limit"
)


@dataclass(frozen=True)
class NewRecipient:
    """An account that got a person's data, as triage found it."""

    request_id: str
    account_token: bytes
    notice_id: str
    sealed: bytes


async def keep(connection: Connection, found: Sequence[NewRecipient], now: datetime) -> None:
    """Writes recipients; those that are there already stay as they are."""
    if found:
        binds = {
            "requests": [one.request_id for one in found],
            "accounts": [one.account_token for one in found],
            "notices": [one.notice_id for one in found],
            "sealed": [one.sealed for one in found],
        }
        await fetch(connection, _KEEP, binds | {"now": now})


async def corrected(connection: Connection, fields: Mapping[str, Sequence[str]]) -> None:
    """Notes which fields were corrected, by request."""
    pairs = [(request_id, field) for request_id, some in fields.items() for field in some]
    if pairs:
        await connection.execute(_CORRECT, {"requests": [one for one, _ in pairs], "fields": [one for _, one in pairs]})


async def of_request(connection: Connection, request_id: str) -> Sequence[Row[tuple[object, ...]]]:
    """Recipients of the person behind a request."""
    return (await connection.execute(_OF_REQUEST, {"request_id": request_id})).all()


async def of_account(
    connection: Connection, account_token: bytes, before: str, limit: int
) -> Sequence[Row[tuple[object, ...]]]:
    """What an account is told, newest first, older than `before`."""
    return (await connection.execute(_OF_ACCOUNT, {"account": account_token, "before": before, "limit": limit})).all()
