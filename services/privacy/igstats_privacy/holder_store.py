"""SQL of the holder registry and of the erasure ledger."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from igstats_kit.sql import fetch
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from igstats_privacy.model import Erasure, Holder
from igstats_privacy.store import Connection
from igstats_privacy.tables import erasure_ledger, holder_keys, holders
from igstats_privacy.tables import ledger_head as ledger_head_table

# Accepting a request reads the registry and writes tasks for what it read; registering writes the registry and reads
# the open requests. The lock keeps either from missing the other.
_READ_REGISTRY = text("SELECT pg_advisory_xact_lock_shared(hashtext('igstats-privacy-registry'))")
_CHANGE_REGISTRY = text("SELECT pg_advisory_xact_lock(hashtext('igstats-privacy-registry'))")
_SEEN = text(
    "UPDATE holders SET seen_at = greatest(seen_at, CAST(:now AS timestamptz)) WHERE holder = :holder RETURNING holder"
)
_HEAD = text("SELECT max(sequence) FROM ledger_head")
# Once an ERASE is offered its receipt may be under way, from before a restore: then nobody else would erase again.
# Tasks that retention has removed were settled long ago.
_ERASURES = text(
    "SELECT e.*, EXISTS (SELECT FROM tasks t WHERE t.request_id = e.request_id AND t.holder = :holder"
    " AND t.phase = 'ERASE' AND t.state = 'PLANNED') AS pending, NOT EXISTS (SELECT FROM tasks t"
    " WHERE t.request_id = e.request_id AND t.holder = :holder AND t.state <> 'SETTLED') AS ended"
    " FROM erasure_ledger e WHERE e.sequence > :after ORDER BY e.sequence LIMIT :limit"
)
_LOCK_HEAD = text("SELECT sequence FROM ledger_head FOR UPDATE")
_WITHOUT = text(
    "SELECT request_id FROM requests r WHERE closed_at IS NULL AND state = ANY(CAST(:states AS text[]))"
    " AND NOT EXISTS (SELECT FROM tasks t WHERE t.request_id = r.request_id AND t.holder = :holder)"
)


async def read_registry(connection: Connection) -> None:
    """Keeps the registry as it is until the transaction ends."""
    await fetch(connection, _READ_REGISTRY, {})


async def change_registry(connection: Connection) -> None:
    """Waits until nobody relies on the registry, and keeps others from relying on it until the transaction ends."""
    await connection.execute(_CHANGE_REGISTRY)


async def put(connection: Connection, holder: Holder, key_id: str) -> None:
    """Writes a holder's announcement. Its switch stays, and so do its earlier keys: old receipts must verify."""
    row = {
        "holder": holder.name,
        "description": holder.description,
        "description_digest": holder.description_digest,
        "store_count": holder.store_count,
        "public_key": holder.public_key,
        "enabled": holder.enabled,
        "registered_at": holder.registered_at,
        "seen_at": holder.seen_at,
    }
    kept = {"holder", "enabled", "registered_at"}
    changes = {name: value for name, value in row.items() if name not in kept}
    added = insert(holders).values(row).on_conflict_do_update(index_elements=["holder"], set_=changes)
    await connection.execute(added)
    key = {"holder": holder.name, "key_id": key_id, "public_key": holder.public_key, "created_at": holder.seen_at}
    await connection.execute(insert(holder_keys).values(key).on_conflict_do_nothing())


async def without_tasks(connection: Connection, holder: str, states: Iterable[str]) -> list[str]:
    """Open requests in which the holder has no part yet."""
    return list((await connection.execute(_WITHOUT, {"holder": holder, "states": list(states)})).scalars())


async def every(connection: Connection) -> list[Holder]:
    """All holders by name."""
    return [
        Holder(
            row.holder,
            bytes(row.description),
            bytes(row.description_digest),
            row.store_count,
            bytes(row.public_key),
            row.registered_at,
            row.seen_at,
            row.enabled,
        )
        for row in await connection.execute(select(holders).order_by(holders.c.holder))
    ]


async def keys(connection: Connection) -> dict[tuple[str, str], bytes]:
    """Every key that a holder has ever announced, by holder and key id."""
    rows = await connection.execute(select(holder_keys).order_by(holder_keys.c.holder, holder_keys.c.created_at))
    return {(row.holder, row.key_id): bytes(row.public_key) for row in rows}


async def switch(connection: Connection, holder: str, *, enabled: bool) -> bool:
    """Switches a holder on or off; False when there is none of this name."""
    changed = holders.update().where(holders.c.holder == holder).values(enabled=enabled)
    return (await connection.execute(changed)).rowcount == 1


async def seen(connection: Connection, holder: str, now: datetime) -> bool:
    """Notes a sign of life; False when there is no holder of this name."""
    return await connection.scalar(_SEEN, {"holder": holder, "now": now}) is not None


async def ledger_head(connection: Connection) -> int:
    """The last number that the ledger has given."""
    return await connection.scalar(_HEAD) or 0


async def lock_ledger(connection: Connection) -> int:
    """Keeps the ledger as it is until the transaction ends; answers its last number."""
    return await connection.scalar(_LOCK_HEAD) or 0


async def in_ledger(connection: Connection, request_ids: Iterable[str]) -> set[str]:
    """Those of the requests that the ledger knows."""
    wanted = select(erasure_ledger.c.request_id).where(erasure_ledger.c.request_id.in_(list(request_ids)))
    return set((await connection.execute(wanted)).scalars())


async def add_to_ledger(connection: Connection, found: Sequence[Erasure], head: int) -> None:
    """Writes entries that were lost, and the last number."""
    rows = [
        {
            "sequence": one.sequence,
            "request_id": one.request_id,
            "tokens": list(one.tokens),
            "accepted_at": one.accepted_at,
        }
        for one in found
    ]
    if rows:
        await connection.execute(insert(erasure_ledger), rows)
    await connection.execute(ledger_head_table.update().values(sequence=head))


async def erasures(connection: Connection, holder: str, after: int, limit: int) -> list[Erasure]:
    """Ledger entries after a sequence number, in order, and how their requests stand at a holder."""
    rows = await connection.execute(_ERASURES, {"holder": holder, "after": after, "limit": limit})
    return [
        Erasure(row.sequence, row.request_id, tuple(row.tokens), row.accepted_at, (), row.pending, row.ended)
        for row in rows
    ]
