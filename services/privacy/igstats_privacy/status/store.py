"""SQL of the opt-out ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.tables import objections
from sqlalchemy import select

from igstats_privacy.store import Connection
from igstats_privacy.tables import requests


@dataclass(frozen=True)
class Objection:
    """One wish of a person that stands."""

    right: str
    door: str
    since: datetime


async def objections_of(connection: Connection, tokens: Sequence[bytes]) -> list[Objection]:
    """What stands for any of the tokens, the oldest first; the door is empty once the request has left the ledger."""
    wanted = (
        select(objections.c.right, requests.c.door, objections.c.since)
        .select_from(objections.outerjoin(requests, requests.c.request_id == objections.c.request_id))
        .where(objections.c.token.in_(tokens))
        .order_by(objections.c.since)
    )
    return [Objection(row.right, row.door or "", row.since) for row in await connection.execute(wanted)]
