"""What an operator asks of any service's image: the users of NATS, parked events, erasures that it remembers."""

import argparse
import json
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from igstats_kit.clock import SystemClock
from igstats_kit.config import database_url
from igstats_kit.ledger import remembered
from igstats_kit.parking import Parking
from igstats_kit.permissions import authorization
from igstats_kit.sql import Database


def command(argv: Sequence[str]) -> Coroutine[Any, Any, None]:
    """What was asked for; ends the process with a message when nobody understands it."""
    given = _parser().parse_args(argv)
    if given.command == "nats-users":
        return _users(given.operator)
    if given.command == "tombstones":
        return _tombstones(given.service)
    return _parked(given.service, given.event_id if given.action == "again" else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="igstats_kit")
    commands = parser.add_subparsers(dest="command", required=True)
    users = commands.add_parser("nats-users", help="print the users that NATS must have")
    users.add_argument("--operator", default="", help="name of a person's certificate that may do anything")
    tombstones = commands.add_parser("tombstones", help="print which erasures a holder remembers, as privacy reads it")
    tombstones.add_argument("service", help="whose, by the setting IGSTATS_<SERVICE>_DATABASE_URL")
    parked = commands.add_parser("parked", help="events that a service could not handle")
    parked.add_argument("service", help="whose, by the setting IGSTATS_<SERVICE>_DATABASE_URL")
    actions = parked.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="print them, one JSON object a line")
    again = actions.add_parser("again", help="have the running service handle an event again")
    again.add_argument("event_id", metavar="EVENT")
    return parser


async def _users(operator: str) -> None:
    sys.stdout.write(authorization(operator=operator))


async def _tombstones(service: str) -> None:
    database = Database(database_url(service), pool_size=1)
    try:
        for line in await remembered(database, service):
            sys.stdout.write(json.dumps(line) + "\n")
    finally:
        await database.close()


async def _parked(service: str, event_id: str) -> None:
    database = Database(database_url(service), pool_size=1)
    try:
        parking = Parking(database, SystemClock())
        if event_id:
            _say(*await parking.ask(event_id))
        else:
            for row in await parking.listed():
                sys.stdout.write(json.dumps(row, default=str) + "\n")
    finally:
        await database.close()


def _say(will: int, cannot: int) -> None:
    if cannot:
        sys.stderr.write("its place in the stream is over: this one cannot be handled again\n")
    if not will:
        raise SystemExit("nothing was asked for")
    sys.stdout.write("the service handles it within seconds; `list` shows it no more when that succeeded\n")
