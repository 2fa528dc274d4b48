"""python -m igstats_kit nats-users | parked SERVICE list | parked SERVICE again EVENT | tombstones SERVICE."""

import sys

from igstats_kit.commands import command
from igstats_kit.lifecycle import run

if __name__ == "__main__":
    run(command(sys.argv[1:]))
