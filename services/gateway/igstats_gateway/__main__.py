"""python -m igstats_gateway serve | migrate | check | account create | key create | key revoke | drop amend."""

import sys

from igstats_kit.lifecycle import run

from igstats_gateway.app import check, migrate_database, serve
from igstats_gateway.commands import parse
from igstats_gateway.opening import BY_HAND

TASKS = {"serve": serve, "migrate": migrate_database, "check": check, **BY_HAND}

if __name__ == "__main__":
    given = parse(sys.argv[1:])
    run(TASKS[given.command](given))
