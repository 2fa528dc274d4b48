"""SQL of contacts that are refused because their persons are erased or restricted.

A customer may add any address. So the answer is the same for both, names neither address nor reason, and is given a
few times a day only: else trying addresses would tell who has asked for what.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.fence import admit, admitted
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_gateway.model import Policy, Spending

REFUSALS = Policy("contacts", 10, 24 * 60 * 60)
_FULL_AT = text(
    "INSERT INTO limits (account_id, policy, full_at) SELECT account_id, :policy, :now FROM accounts"
    " WHERE account_id = :account_id ON CONFLICT (account_id, policy) DO UPDATE SET full_at = limits.full_at"
    " RETURNING full_at"
)
_COUNT = text(
    "UPDATE limits SET full_at = greatest(full_at, :now) + :price WHERE account_id = :account_id AND policy = :policy"
)


async def welcome(
    connection: AsyncConnection, account_id: str, own: bytes, contacts: Sequence[bytes], now: datetime
) -> bool:
    """Whether the account may store the contacts, by the tokens of both; a refusal is counted, if the caller commits.

    Raises:
        DomainError: SUBJECT_ERASED or SUBJECT_RESTRICTED for the account itself; RATE_LIMITED after too many refusals,
            whatever the contacts are.
    """
    free = await admitted(connection, [own, *contacts])
    await admit(connection, [own])
    if not contacts:
        return True
    await _require_left(connection, account_id, now)
    if free.issuperset(contacts):
        return True
    price = timedelta(seconds=REFUSALS.seconds_per_unit)
    await connection.execute(_COUNT, {"account_id": account_id, "policy": REFUSALS.name, "now": now, "price": price})
    return False


def refused() -> DomainError:
    """The one answer to contacts that are not welcome."""
    violation = Violation("contacts", "must all be ones that can be stored; one of them cannot")
    return DomainError(Reason.FIELD_INVALID, violations=[violation])


async def _require_left(connection: AsyncConnection, account_id: str, now: datetime) -> None:
    """Nobody else tries for the account before the transaction ends."""
    binds = {"account_id": account_id, "policy": REFUSALS.name, "now": now}
    full_at: datetime | None = await connection.scalar(_FULL_AT, binds)
    if full_at is None:  # no such account: the change finds that out
        return
    left = Spending(REFUSALS, granted=False, cost=1, full_in=max(0.0, (full_at - now).total_seconds()))
    if left.remaining < 1:
        raise DomainError(Reason.RATE_LIMITED, retry_after=left.wait, policy=REFUSALS.name)
