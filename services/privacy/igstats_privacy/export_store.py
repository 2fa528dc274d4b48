"""SQL of access packages: sealed parts, one share per holder, one key per package."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.tables import restrictions
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.dialects import postgresql

from igstats_privacy.model import Part
from igstats_privacy.store import Connection
from igstats_privacy.tables import export_parts, export_shares, exports, holders, package_links, request_tokens

# An access request that came after an erasure was carried out is answered: with what may lawfully remain.
_ERASED = text(
    "SELECT EXISTS (SELECT FROM request_tokens mine JOIN requests access ON access.request_id = mine.request_id"
    " JOIN tombstones t ON t.token = mine.token AND t.created_at >= access.received_at"
    " WHERE mine.request_id = :request_id)"
    " OR EXISTS (SELECT FROM request_tokens mine JOIN request_tokens other USING (token)"
    " JOIN requests r ON r.request_id = other.request_id"
    " WHERE mine.request_id = :request_id AND r.right = 'ERASURE' AND r.state IN ('FENCING', 'EXECUTING', 'VERIFYING'))"
)
_MISSING = text(
    "SELECT EXISTS (SELECT FROM tasks t LEFT JOIN export_shares s USING (request_id, holder)"
    " WHERE t.request_id = :request_id AND t.phase = 'EXPORT' AND t.outcome = 'EXPORTED' AND s.holder IS NULL)"
)
_DESTROY = text("DELETE FROM exports WHERE request_id = ANY(CAST(:ids AS text[]))")
_OLD = text("SELECT request_id FROM exports WHERE expires_at <= :now ORDER BY expires_at LIMIT 100")


@dataclass(frozen=True)
class Package:
    """An access package; `sealed_key` opens its parts."""

    sealed_key: bytes
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Heap:
    """All parts of one store of one holder in a package; `size` is in bytes, as sealed."""

    holder: str
    store: str
    row_count: int
    size: int


async def tokens_of(connection: Connection, request_id: str) -> list[bytes]:
    """Tokens of the person that a request is about."""
    wanted = select(request_tokens.c.token).where(request_tokens.c.request_id == request_id)
    return [bytes(token) for token in (await connection.execute(wanted)).scalars()]


async def erased(connection: Connection, request_id: str) -> bool:
    """Whether the person is being erased, or was since the request came, so that no copy may be made."""
    return bool(await connection.scalar(_ERASED, {"request_id": request_id}))


async def open_package(connection: Connection, request_id: str, new: Package) -> Package:
    """The request's package; `new` when there is none yet."""
    row = {
        "request_id": request_id,
        "sealed_key": new.sealed_key,
        "created_at": new.created_at,
        "expires_at": new.expires_at,
    }
    await connection.execute(postgresql.insert(exports).values(row).on_conflict_do_nothing())
    return await package(connection, request_id) or new


async def package(connection: Connection, request_id: str) -> Package | None:
    """The request's package, if it has one."""
    row = (await connection.execute(select(exports).where(exports.c.request_id == request_id))).first()
    return None if row is None else Package(bytes(row.sealed_key), row.created_at, row.expires_at)


async def restricted(connection: Connection, tokens: Sequence[bytes]) -> bool:
    """Whether a person of one of the tokens has restricted processing."""
    standing = select(restrictions.c.token).where(restrictions.c.token.in_(tokens)).limit(1)
    return await connection.scalar(standing) is not None


async def packages(connection: Connection) -> list[str]:
    """Requests whose packages are stored."""
    return list((await connection.execute(select(exports.c.request_id).order_by(exports.c.created_at))).scalars())


async def incomplete(connection: Connection, request_id: str) -> bool:
    """Whether a share that a holder says it sent is not here: it was destroyed meanwhile."""
    return bool(await connection.scalar(_MISSING, {"request_id": request_id}))


async def drop_share(connection: Connection, request_id: str, holder: str) -> None:
    """Removes what a holder sent before; it sends its share anew."""
    for table in (export_parts, export_shares):
        await connection.execute(delete(table).where(table.c.request_id == request_id, table.c.holder == holder))


async def add_part(connection: Connection, request_id: str, part: Part, now: datetime) -> None:
    """Writes one part."""
    row = {
        "request_id": request_id,
        "holder": part.holder,
        "number": part.number,
        "store": part.store,
        "row_count": part.row_count,
        "sealed": part.sealed,
        "created_at": now,
    }
    await connection.execute(insert(export_parts), row)


async def add_share(
    connection: Connection, request_id: str, holder: str, digest: bytes, row_count: int, now: datetime
) -> None:
    """Notes that a holder's share is complete, and how the holder describes it; that may change until it is read."""
    described = select(holders.c.description).where(holders.c.holder == holder).scalar_subquery()
    row = {"request_id": request_id, "holder": holder, "digest": digest, "row_count": row_count, "created_at": now}
    await connection.execute(insert(export_shares).values(**row, description=described))


async def heaps(connection: Connection, request_id: str) -> list[Heap]:
    """What is in a package, by holder and store; stores without rows are left out."""
    key = (export_parts.c.holder, export_parts.c.store)
    counted = func.sum(export_parts.c.row_count).label("row_count")
    size = func.sum(func.octet_length(export_parts.c.sealed)).label("size")
    wanted = select(*key, counted, size).where(export_parts.c.request_id == request_id, export_parts.c.row_count > 0)
    rows = await connection.execute(wanted.group_by(*key).order_by(*key))
    return [Heap(row.holder, row.store, int(row.row_count), int(row.size)) for row in rows]


async def descriptions(connection: Connection, request_id: str) -> dict[str, bytes]:
    """How the holders described their shares of a package, by holder."""
    as_sent = func.coalesce(export_shares.c.description, holders.c.description).label("description")
    joined = export_shares.join(holders, holders.c.holder == export_shares.c.holder)
    wanted = select(export_shares.c.holder, as_sent).select_from(joined)
    rows = await connection.execute(wanted.where(export_shares.c.request_id == request_id))
    return {row.holder: bytes(row.description) for row in rows}


async def parts(connection: Connection, request_id: str, heap: Heap, after: int, limit: int) -> list[Part]:
    """Parts of one store by number, after a given one."""
    table = export_parts.c
    mine = (table.request_id == request_id, table.holder == heap.holder, table.store == heap.store)
    wanted = select(export_parts).where(*mine, table.number > after)
    rows = await connection.execute(wanted.order_by(table.number).limit(limit))
    return [Part(row.holder, row.number, row.store, row.row_count, bytes(row.sealed)) for row in rows]


async def expired(connection: Connection, now: datetime) -> list[str]:
    """Packages whose time is over."""
    return list((await connection.execute(_OLD, {"now": now})).scalars())


async def destroy(connection: Connection, request_ids: Iterable[str]) -> None:
    """Destroys packages: key first, so that parts in a backup can not be read either."""
    ids = list(request_ids)
    await connection.execute(_DESTROY, {"ids": ids})
    for table in (package_links, export_shares, export_parts):
        await connection.execute(delete(table).where(table.c.request_id.in_(ids)))


async def add_link(connection: Connection, digest: bytes, request_id: str, now: datetime) -> None:
    """Notes by which link a package can be fetched."""
    row = {"digest": digest, "request_id": request_id, "created_at": now}
    await connection.execute(insert(package_links), row)


async def linked(connection: Connection, digest: bytes) -> str | None:
    """The request whose package a link opens; None for a link that was never made or is used up."""
    wanted = select(package_links.c.request_id).where(package_links.c.digest == digest)
    found: str | None = await connection.scalar(wanted)
    return found


async def use_up(connection: Connection, digest: bytes) -> bool:
    """Forgets a link; False when another download that ran beside this one was first."""
    gone = await connection.execute(delete(package_links).where(package_links.c.digest == digest))
    return bool(gone.rowcount)
