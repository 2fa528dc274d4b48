"""What an operator does beside the servers on their database: a canary now, and a ledger that was restored too old."""

import json
import sys
from datetime import timedelta

from igstats_kit.clock import SystemClock
from igstats_kit.sql import Database

from igstats_privacy.canaries.by_hand import canary
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.ledger import Ledger
from igstats_privacy.remembered import MemoryFormError, read
from igstats_privacy.tables import LEDGER_DAYS


async def rebuild_ledger() -> None:
    """Reads what holders remember from standard input, and writes what the ledger lacks."""
    try:
        memory = read(sys.stdin)
    except MemoryFormError as error:
        raise SystemExit(str(error)) from None
    database = Database(PrivacyConfig.load().database_url, pool_size=1)
    try:
        added, head = await Ledger(database, SystemClock()).rebuild(memory, timedelta(days=LEDGER_DAYS))
    finally:
        await database.close()
    sys.stdout.write(json.dumps({"added": added, "head": head}) + "\n")


BY_HAND = {"canary": canary, "rebuild-ledger": rebuild_ledger}
