"""SQL of access packages: sealed parts, one share per holder, one key per package."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.sql import fetch
from igstats_kit.tables import restrictions
from sqlalchemy import delete, func, insert, select, text

from igstats_privacy.lifecycle import LEASABLE
from igstats_privacy.store import Connection
from igstats_privacy.tables import descriptions as described
from igstats_privacy.tables import export_parts, export_shares, exports, holders, package_links, request_tokens

# An access request that came after an erasure was carried out is answered: with what may lawfully remain.
_ERASED = text(
    "SELECT EXISTS (SELECT FROM request_tokens mine JOIN requests access ON access.request_id = mine.request_id"
    " JOIN tombstones t ON t.token = mine.token AND t.created_at >= access.received_at"
    " WHERE mine.request_id = ANY(CAST(:ids AS text[])))"
    " OR EXISTS (SELECT FROM request_tokens mine JOIN request_tokens other USING (token)"
    " JOIN requests r ON r.request_id = other.request_id"
    " WHERE mine.request_id = ANY(CAST(:ids AS text[]))"
    " AND r.right = 'ERASURE' AND r.state IN ('FENCING', 'EXECUTING', 'VERIFYING'))"
)
# As tasks are leased: those that are merely late may be done, too.
_UPLOADS = text(
    "SELECT t.request_id, e.request_id IS NOT NULL AS opened,"
    " ARRAY(SELECT r.token FROM request_tokens r WHERE r.request_id = t.request_id) AS tokens"
    " FROM tasks t LEFT JOIN exports e ON e.request_id = t.request_id"
    " WHERE t.request_id = ANY(CAST(:ids AS text[])) AND t.holder = :holder AND t.phase = 'EXPORT'"
    " AND (t.state = ANY(CAST(:leasable AS text[])) OR t.cause = 'LATE')"
)
# Nobody waits for the disk here: what is sealed with the key commits later, and never is on disk before this.
_OPEN = text(
    "WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"
    " INSERT INTO exports (request_id, sealed_key, created_at, expires_at)"
    " SELECT g.* FROM unnest(CAST(:ids AS text[]), CAST(:keys AS bytea[]), CAST(:made AS timestamptz[]),"
    " CAST(:ends AS timestamptz[])) AS g CROSS JOIN soon ORDER BY 1 ON CONFLICT DO NOTHING"
)
_BEGIN = text(
    "WITH mine AS (SELECT unnest(CAST(:ids AS text[])) AS request_id),"  # noqa: S608 - only our own constants are put in
    " p AS (DELETE FROM export_parts p USING mine m WHERE p.request_id = m.request_id AND p.holder = :holder),"
    " s AS (DELETE FROM export_shares s USING mine m WHERE s.request_id = m.request_id AND s.holder = :holder)"
    f" SELECT request_id, sealed_key, ({_ERASED.text}) AS erased FROM mine LEFT JOIN exports USING (request_id)"
)
_ADD = text(
    "WITH h AS (SELECT description_digest AS digest, description FROM holders"
    " WHERE holder = :holder AND cardinality(CAST(:ended AS text[])) > 0),"
    " d AS (INSERT INTO descriptions (digest, description, created_at) SELECT digest, description,"
    " CAST(:now AS timestamptz) FROM h ON CONFLICT DO NOTHING),"
    " s AS (INSERT INTO export_shares (request_id, holder, digest, row_count, description_digest, created_at)"
    " SELECT g.request_id, :holder, g.digest, g.row_count, h.digest, CAST(:now AS timestamptz) FROM h CROSS JOIN"
    " unnest(CAST(:ended AS text[]), CAST(:digests AS bytea[]), CAST(:totals AS bigint[]))"
    " AS g(request_id, digest, row_count))"
    " INSERT INTO export_parts (request_id, holder, number, store, row_count, sealed, created_at)"
    " SELECT g.*, CAST(:now AS timestamptz) FROM unnest(CAST(:requests AS text[]), CAST(:holders AS text[]),"
    " CAST(:numbers AS int[]), CAST(:stores AS text[]), CAST(:rows AS int[]), CAST(:sealed AS bytea[])) AS g"
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
class Part:
    """A sealed piece of an access package: whole lines of one store of one holder."""

    holder: str
    number: int
    store: str
    row_count: int
    sealed: bytes


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


async def erased(connection: Connection, request_ids: Iterable[str]) -> bool:
    """Whether one of the persons is being erased, or was since their request came, so that no copy may be made."""
    [row] = await fetch(connection, _ERASED, {"ids": list(request_ids)})
    return bool(row[0])


@dataclass(frozen=True)
class Upload:
    """A request whose share a holder may send: the person's tokens, and whether there is a package to put it in."""

    request_id: str
    opened: bool
    tokens: Sequence[bytes]


async def uploads(connection: Connection, holder: str, request_ids: Iterable[str]) -> list[Upload]:
    """Those of the requests for which a holder has been asked for its share."""
    binds = {"ids": list(request_ids), "holder": holder, "leasable": list(LEASABLE)}
    return [Upload(row.request_id, row.opened, row.tokens) for row in await fetch(connection, _UPLOADS, binds)]


async def open_packages(connection: Connection, packages: Mapping[str, Package]) -> None:
    """Makes the packages of requests that have none yet."""
    binds = {
        "ids": list(packages),
        "keys": [one.sealed_key for one in packages.values()],
        "made": [one.created_at for one in packages.values()],
        "ends": [one.expires_at for one in packages.values()],
    }
    await fetch(connection, _OPEN, binds)


@dataclass(frozen=True)
class Begun:
    """The sealed keys of packages by request, and whether a person's fence forbids to write."""

    keys: Mapping[str, bytes]
    erased: bool


async def begin(connection: Connection, holder: str, request_ids: Iterable[str]) -> Begun:
    """Removes what a holder sent before for these requests, under the locks of their persons."""
    rows = await fetch(connection, _BEGIN, {"ids": list(request_ids), "holder": holder})
    keys = {row.request_id: bytes(row.sealed_key) for row in rows if row.sealed_key is not None}
    return Begun(keys, any(row.erased for row in rows))


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


async def add(
    connection: Connection,
    holder: str,
    parts: Sequence[tuple[str, Part]],
    ended: Mapping[str, tuple[bytes, int]],
    now: datetime,
) -> None:
    """Writes parts of a holder's shares; of those that are complete, digest, rows and how the holder describes them."""
    binds = {
        "holder": holder,
        "ended": list(ended),
        "digests": [digest for digest, _ in ended.values()],
        "totals": [row_count for _, row_count in ended.values()],
        "requests": [request_id for request_id, _ in parts],
        "holders": [part.holder for _, part in parts],
        "numbers": [part.number for _, part in parts],
        "stores": [part.store for _, part in parts],
        "rows": [part.row_count for _, part in parts],
        "sealed": [part.sealed for _, part in parts],
    }
    await fetch(connection, _ADD, binds | {"now": now})


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
    kept, old = described.c.description, export_shares.c.description
    as_sent = func.coalesce(kept, old, holders.c.description).label("description")
    joined = export_shares.join(holders, holders.c.holder == export_shares.c.holder).outerjoin(
        described, described.c.digest == export_shares.c.description_digest
    )
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
