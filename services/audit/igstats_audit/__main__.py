"""Runs the audit service: python -m igstats_audit {serve | monitor | migrate | check | rename-logs | verifier-keys}."""

import sys

from igstats_kit.lifecycle import run

from igstats_audit.app import check, migrate_database, serve
from igstats_audit.by_hand import BY_HAND
from igstats_audit.monitor.app import monitor

COMMANDS = {"serve": serve, "monitor": monitor, "migrate": migrate_database, "check": check, **BY_HAND}

if __name__ == "__main__":
    command = COMMANDS.get("".join(sys.argv[1:2])) or sys.exit(__doc__)
    run(command())
