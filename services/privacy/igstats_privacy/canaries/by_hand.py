"""A canary that an operator runs now, beside the servers on their database."""

import asyncio
import json
import sys
from datetime import timedelta

from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.errors import DomainError
from igstats_kit.sql import Database

from igstats_privacy.canaries.planting import Planting
from igstats_privacy.canaries.room import CanariesRoom
from igstats_privacy.canaries.rules import Canary, Result
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.core import Core

_WITHIN = timedelta(hours=1)
_LOOK_SECONDS = 1.0


async def canary() -> None:
    """Runs one to its end and prints the result; fails when the erasure was not proved."""
    config = PrivacyConfig.load()
    database, channels = Database(config.database_url), Channels(config)
    try:
        room = CanariesRoom(config, Core(config, database, channels, SystemClock()), channels)
        ended = await _ended(room.planting)
    finally:
        await channels.close()
        await database.close()
    told = {"result": ended.result, "reason": ended.reason, "request_id": ended.request_id}
    sys.stdout.write(json.dumps(told) + "\n")
    if ended.result != Result.PROVED:
        raise SystemExit(1)


async def _ended(planting: Planting) -> Canary:
    canary_id = await planting.by_hand(_WITHIN)
    while True:
        try:
            found = await planting.go_on(canary_id)
        except DomainError as error:
            sys.stderr.write(f"the canary waits: {error.reason}\n")
        else:
            if found.ended_at is not None:
                return found
        await asyncio.sleep(_LOOK_SECONDS)
