"""SQL of letters and of those they go to."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text

from igstats_privacy import store as core
from igstats_privacy.letters.tables import mails
from igstats_privacy.model import Request
from igstats_privacy.store import Connection

# Whoever is to be written to, when the request is not as it was when we last looked, or letters wait for this day.
_CHANGED = text(
    "SELECT c.request_id, c.sealed, c.written, c.withheld,"
    " r.state || r.wait || coalesce(r.extended_at::text, '') AS seen"
    " FROM correspondents c JOIN requests r USING (request_id)"
    " WHERE c.seen <> r.state || r.wait || coalesce(r.extended_at::text, '') OR c.again_at <= :now"
    " ORDER BY c.again_at NULLS FIRST, c.request_id LIMIT :limit FOR UPDATE OF c SKIP LOCKED"
)
_NOTED = text(
    "UPDATE correspondents SET seen = :seen, written = :written, withheld = :withheld,"
    " again_at = CAST(:again_at AS timestamptz), needed_until = greatest(needed_until,"
    " CAST(:until AS timestamptz)) WHERE request_id = :request_id"
)
# Releasing a hold looks at these rows again: `hold_store.let_go`.
_HELD_UNTIL = text("SELECT max(until_at) FROM holds WHERE released_at IS NULL AND :request_id = ANY(kept_back)")
_DONE = text("DELETE FROM correspondents WHERE request_id = :request_id")
# Claimed for a while: a sender that dies gives its letter back by itself.
_CLAIM = text(
    "UPDATE mails SET attempts = attempts + 1, next_at = :until WHERE mail_id = (SELECT mail_id FROM mails"
    " WHERE state = 'WAITING' AND next_at <= :now ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " RETURNING mail_id, request_id, letter, language, sealed, attempts, created_at"
)
# The letter that says a request has come is its confirmation of receipt (11 CCR 7021(a)).
_SENT = text(
    "WITH sent AS (UPDATE mails SET state = 'SENT', sealed = NULL, sent_at = :now WHERE mail_id = :mail_id"
    " RETURNING request_id, letter) UPDATE requests r SET confirmed_at = CAST(:now AS timestamptz) FROM sent s"
    " WHERE r.request_id = s.request_id AND s.letter = 'receipt' AND r.confirmed_at IS NULL"
)
_GIVEN_UP = text("UPDATE mails SET state = 'FAILED', sealed = NULL WHERE mail_id = :mail_id")
_LATER = text("UPDATE mails SET next_at = :next WHERE mail_id = :mail_id")


@dataclass(frozen=True)
class Correspondent:
    """Somebody who is to be written to about a request that has changed."""

    request_id: str
    sealed: bytes
    written: tuple[str, ...]
    withheld: tuple[str, ...]
    seen: str


@dataclass(frozen=True)
class Mail:
    """A letter that waits to be sent."""

    mail_id: str
    request_id: str
    letter: str
    language: str
    sealed: bytes
    attempts: int
    created_at: datetime


async def changed(connection: Connection, now: datetime, limit: int) -> list[Correspondent]:
    """Those whose requests have changed since the last look or whose withheld letters are tried again, locked."""
    rows = await connection.execute(_CHANGED, {"now": now, "limit": limit})
    return [
        Correspondent(row.request_id, bytes(row.sealed), tuple(row.written), tuple(row.withheld), row.seen)
        for row in rows
    ]


async def request(connection: Connection, request_id: str) -> Request:
    """The request of a correspondent; it is there as long as the correspondent is."""
    found = await core.find(connection, request_id)
    if found is None:
        raise LookupError(request_id)
    return found


async def held_until(connection: Connection, request_id: str) -> datetime | None:
    """The end of the holds that stand and have kept something back of a request; None without one."""
    found: datetime | None = await connection.scalar(_HELD_UNTIL, {"request_id": request_id})
    return found


async def note(
    connection: Connection, correspondent: Correspondent, until: datetime | None, again_at: datetime | None
) -> None:
    """Remembers what was looked at, written and withheld; the address is needed until then, if a hold says so."""
    binds: dict[str, object] = {"request_id": correspondent.request_id, "seen": correspondent.seen}
    binds |= {"written": list(correspondent.written), "withheld": list(correspondent.withheld)}
    await connection.execute(_NOTED, binds | {"until": until, "again_at": again_at})


async def done(connection: Connection, request_id: str) -> None:
    """Forgets where to write to."""
    await connection.execute(_DONE, {"request_id": request_id})


async def put(connection: Connection, mail: Mail) -> None:
    """Writes a letter that is to be sent at once."""
    row = {name: getattr(mail, name) for name in ("mail_id", "request_id", "letter", "language", "sealed", "attempts")}
    await connection.execute(
        mails.insert().values(row | {"state": "WAITING", "created_at": mail.created_at, "next_at": mail.created_at})
    )


async def claim(connection: Connection, now: datetime, until: datetime) -> Mail | None:
    """The next letter to send, for this caller alone until `until`."""
    row = (await connection.execute(_CLAIM, {"now": now, "until": until})).first()
    return None if row is None else Mail(*row)


async def sent(connection: Connection, mail_id: str, now: datetime) -> None:
    """Destroys what a letter said; it has arrived at a relay."""
    await connection.execute(_SENT, {"mail_id": mail_id, "now": now})


async def give_up(connection: Connection, mail_id: str) -> None:
    """Destroys what a letter said; nobody takes it."""
    await connection.execute(_GIVEN_UP, {"mail_id": mail_id})


async def send_later(connection: Connection, mail_id: str, moment: datetime) -> None:
    """The letter is tried again then."""
    await connection.execute(_LATER, {"mail_id": mail_id, "next": moment})


async def states(connection: Connection, request_id: str) -> dict[str, str]:
    """The letters of a request and how far each has come."""
    wanted = select(mails.c.letter, mails.c.state).where(mails.c.request_id == request_id)
    return {row.letter: row.state for row in await connection.execute(wanted)}
