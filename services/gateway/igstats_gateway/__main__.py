"""python -m igstats_gateway serve | migrate | check | account create | drop amend."""

import sys

from igstats_kit.lifecycle import run

from igstats_gateway.app import check, migrate_database, serve
from igstats_gateway.commands import parse
from igstats_gateway.opening import amend, create_account

TASKS = {"serve": serve, "migrate": migrate_database, "check": check, "account create": create_account, "drop": amend}

if __name__ == "__main__":
    given = parse(sys.argv[1:])
    run(TASKS[given.command](given))
