"""What is done by hand, beside the server on its database: accounts, and corrected answers to California's DROP."""

import json
import sys
from dataclasses import asdict

from igstats_kit.clock import SystemClock
from igstats_kit.config import read_secret
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens

from igstats_gateway.accounts import Registration
from igstats_gateway.commands import Arguments
from igstats_gateway.config import GatewayConfig
from igstats_gateway.doors.drop.rules import Outcome
from igstats_gateway.doors.drop.store import DropStore
from igstats_gateway.keys import Pepper
from igstats_gateway.store import Store


async def create_account(arguments: Arguments) -> None:
    """Makes an account with one contact and one key, and prints their ids and the key."""
    config = GatewayConfig.load()
    database = Database(config.database_url, pool_size=1)
    try:
        store = Store(database, Tokens(read_secret(config.suppression_key)))
        accounts = Registration(store, Pepper(read_secret(config.key_pepper)), SystemClock())
        made = await accounts.create(arguments.company, arguments.contact, arguments.scopes, arguments.billing)
        sys.stdout.write(json.dumps(asdict(made)) + "\n")
    finally:
        await database.close()


async def amend(arguments: Arguments) -> None:
    """Changes the outcome of an item that was reported; fails when there is none, or when it says so already."""
    config = GatewayConfig.load()
    database = Database(config.database_url, pool_size=1)
    try:
        store = DropStore(database, Tokens(read_secret(config.suppression_key)), Sealer(read_secret(config.seal_key)))
        changed = await store.change(arguments.item, Outcome[arguments.outcome.upper()], SystemClock().now())
    finally:
        await database.close()
    if not changed:
        raise SystemExit("no reported item of this id has another outcome")
    sys.stdout.write("the platform will be told\n")
