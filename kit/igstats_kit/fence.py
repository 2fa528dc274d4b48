"""The fence: no data about an erased or restricted person gets in.

Every writer of subject data takes a shared advisory lock per subject and checks the tombstone in its own transaction;
erasure takes the lock exclusively. A tombstone without the lock let one subject in ten come back.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import literal, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.errors import DomainError, Reason
from igstats_kit.tables import restrictions, tombstones

_SHARED = text("SELECT pg_advisory_xact_lock_shared(k) FROM unnest(CAST(:keys AS bigint[])) AS k")
_EXCLUSIVE = text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k")


async def lock(connection: AsyncConnection, tokens: Iterable[bytes], *, exclusive: bool) -> None:
    """Takes the advisory locks of the tokens' subjects until the transaction ends, in one order for everybody."""
    keys = sorted({int.from_bytes(token[:8], "big", signed=True) for token in tokens})
    if keys:
        await connection.execute(_EXCLUSIVE if exclusive else _SHARED, {"keys": keys})


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
