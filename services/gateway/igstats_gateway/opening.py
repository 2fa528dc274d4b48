"""Accounts made by hand: the one command that writes into the gateway's database beside its server."""

import json
import sys
from dataclasses import asdict

from igstats_kit.clock import SystemClock
from igstats_kit.config import read_secret
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens

from igstats_gateway.accounts import Registration
from igstats_gateway.commands import Arguments
from igstats_gateway.config import GatewayConfig
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
