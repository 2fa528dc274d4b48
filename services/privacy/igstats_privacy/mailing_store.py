"""SQL of how many letters an address gets in a day that nobody has proved to be the person's.

Whoever opens a request may name any address: for answers, or as the person's own. So what goes there is bounded over
all requests, and no mailbox can be flooded through here.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text

from igstats_privacy.store import Connection

MOST_A_DAY = 20
"""Letters of all kinds."""
MOST_UNASKED = 10
"""Letters other than codes: whoever floods an address with those leaves its owner room to prove something."""

# In the order of the tokens, so that two who count many addresses never wait for each other.
_COUNTED = text(
    "INSERT INTO mailings AS m (channel, day, count)"
    " SELECT channel, date_trunc('day', CAST(:now AS timestamptz), 'UTC'), 0"
    " FROM unnest(CAST(:channels AS bytea[])) AS channel ORDER BY channel"
    " ON CONFLICT (channel, day) DO UPDATE SET count = m.count RETURNING channel, count AS before"
)
_TAKE = text(
    "UPDATE mailings m SET count = m.count + g.taken"
    " FROM unnest(CAST(:channels AS bytea[]), CAST(:taken AS integer[])) AS g(channel, taken)"
    " WHERE m.channel = g.channel AND m.day = date_trunc('day', CAST(:now AS timestamptz), 'UTC')"
)


async def take(connection: Connection, wanted: Mapping[bytes, int], now: datetime, most: int) -> dict[bytes, int]:
    """Counts letters to addresses, given by their tokens; answers how many of them may go, by address.

    Nobody else counts for these addresses before the transaction ends.
    """
    if not wanted:
        return {}
    rows = await connection.execute(_COUNTED, {"channels": list(wanted), "now": now})
    before = {bytes(row.channel): row.before for row in rows}
    taken = {channel: max(0, min(count, most - before[channel])) for channel, count in wanted.items()}
    await connection.execute(_TAKE, {"channels": list(taken), "taken": list(taken.values()), "now": now})
    return taken
