"""The fence: no data about an erased or restricted person gets in.

Every writer of subject data takes a shared advisory lock per subject and checks the tombstone in its own transaction;
erasure takes the lock exclusively. A tombstone without the lock let one subject in ten come back.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import literal, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.errors import DomainError, Reason
from igstats_kit.sql import fetch
from igstats_kit.tables import objections, pins, restrictions, tombstones

_SHARED = text("SELECT pg_advisory_xact_lock_shared(k) FROM unnest(CAST(:keys AS bigint[])) AS k")
_EXCLUSIVE = text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k")

_CLOSING = (tombstones, restrictions, objections)


async def lock(connection: AsyncConnection, tokens: Iterable[bytes], *, exclusive: bool) -> None:
    """Takes the advisory locks of the tokens' subjects until the transaction ends, in one order for everybody."""
    keys = sorted({int.from_bytes(token[:8], "big", signed=True) for token in tokens})
    if keys:
        await fetch(connection, _EXCLUSIVE if exclusive else _SHARED, {"keys": keys})


async def admitted(connection: AsyncConnection, tokens: Collection[bytes]) -> set[bytes]:
    """Locks (shared) and returns those tokens that are neither erased nor restricted."""
    refused = await _refused(connection, tokens)
    return set(tokens) - set(refused)


async def admit(connection: AsyncConnection, tokens: Sequence[bytes]) -> None:
    """Locks (shared) and lets the writer go on only when none of the tokens is fenced.

    Raises:
        DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED.
    """
    refused = await _refused(connection, tokens)
    if refused:
        raise DomainError(Reason.SUBJECT_ERASED if "erased" in refused.values() else Reason.SUBJECT_RESTRICTED)


async def _refused(connection: AsyncConnection, tokens: Collection[bytes]) -> dict[bytes, str]:
    await lock(connection, tokens, exclusive=False)
    fences = union_all(
        select(restrictions.c.token, literal("restricted")).where(restrictions.c.token.in_(tokens)),
        select(tombstones.c.token, literal("erased")).where(tombstones.c.token.in_(tokens)),
    )
    rows = await connection.execute(fences)
    return {bytes(token): why for token, why in rows}


async def may_disclose(connection: AsyncConnection, tokens: Collection[bytes]) -> set[bytes]:
    """Those of the tokens whose persons' data may go to third parties: not erased, restricted, or objected to.

    To be asked at every disclosure: an objection (GDPR 21) or opt-out (CCPA 1798.120) is an entry, not an event.
    """
    if not tokens:
        return set()
    closed = union_all(*(select(table.c.token).where(table.c.token.in_(tokens)) for table in _CLOSING))
    return set(tokens) - {bytes(token) for token in (await connection.execute(closed)).scalars()}


async def pinned(connection: AsyncConnection, token: bytes, fields: Collection[str]) -> set[str]:
    """Those of the fields ("store.column") that the person had corrected, so that a sync must not write them.

    `pins.Pins` has the values and releases a pin once the source agrees.
    """
    wanted = select(pins.c.field).where(pins.c.token == token, pins.c.field.in_(fields))
    return set((await connection.execute(wanted)).scalars())
