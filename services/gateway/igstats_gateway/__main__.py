"""python -m igstats_gateway serve | migrate | check | account create."""

import sys

from igstats_kit.lifecycle import run

from igstats_gateway.app import check, migrate_database, serve
from igstats_gateway.commands import parse
from igstats_gateway.opening import create_account

COMMANDS = {"serve": serve, "migrate": migrate_database, "check": check, "account create": create_account}

if __name__ == "__main__":
    given = parse(sys.argv[1:])
    run(COMMANDS[given.command](given))
