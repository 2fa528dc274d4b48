"""What an operator does beside the servers: a canary now, a ledger that was restored too old, ids of officers."""

import json
import sys
from datetime import timedelta

from igstats_kit.clock import SystemClock
from igstats_kit.config import read_secret
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database

from igstats_privacy.canaries.by_hand import canary
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.ledger import Ledger
from igstats_privacy.officer_ids import OfficerIds
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


async def officer_ids() -> None:
    """Reads names of officers from standard input, a line each, and says which id each has in the evidence log."""
    ids = OfficerIds(Sealer(read_secret(PrivacyConfig.load().seal_key)))
    for name in filter(None, map(str.strip, sys.stdin)):
        sys.stdout.write(f"{ids.of(name)} {name}\n")


BY_HAND = {"canary": canary, "rebuild-ledger": rebuild_ledger, "officer-ids": officer_ids}
