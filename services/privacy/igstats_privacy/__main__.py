"""Runs privacy: python -m igstats_privacy {serve | migrate | check | canary | rebuild-ledger | officer-ids}."""

import sys

from igstats_kit.lifecycle import run

from igstats_privacy.app import check, migrate_database, serve
from igstats_privacy.by_hand import BY_HAND

COMMANDS = {"serve": serve, "migrate": migrate_database, "check": check, **BY_HAND}

if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    run(COMMANDS[sys.argv[1]]())
