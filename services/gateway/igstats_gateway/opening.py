"""What is done by hand, beside the server on its database: accounts, keys, corrected answers to California's DROP."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

from igstats_kit.clock import SystemClock
from igstats_kit.config import read_secret
from igstats_kit.errors import DomainError
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
    async with _registration() as accounts:
        made = await accounts.create(arguments.company, arguments.contact, arguments.scopes, arguments.billing)
    sys.stdout.write(json.dumps(asdict(made)) + "\n")


async def create_key(arguments: Arguments) -> None:
    """Makes a key of an account, and prints it."""
    async with _registration() as accounts:
        made = await accounts.create_key(arguments.account_id, arguments.label, arguments.scopes, arguments.days)
    sys.stdout.write(json.dumps(asdict(made)) + "\n")


async def revoke_key(arguments: Arguments) -> None:
    """Revokes a key, and says whose it was."""
    async with _registration() as accounts:
        revoked = await accounts.revoke_key(arguments.key_id)
    shown = {"account_id": revoked.account_id, "key_id": revoked.key_id, "revoked_time": str(revoked.revoked_time)}
    sys.stdout.write(json.dumps(shown) + "\n")


@asynccontextmanager
async def _registration() -> AsyncIterator[Registration]:
    """What makes accounts and keys, on the gateway's database; what it refuses ends the process with the reason."""
    config = GatewayConfig.load()
    database = Database(config.database_url, pool_size=1)
    store = Store(database, Tokens(read_secret(config.suppression_key)))
    try:
        yield Registration(store, Pepper(read_secret(config.key_pepper)), SystemClock())
    except DomainError as error:
        wrong = [f"{one.field} {one.description}" for one in error.violations]
        raise SystemExit("; ".join([str(error), *wrong])) from None
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


BY_HAND = {"account create": create_account, "key create": create_key, "key revoke": revoke_key, "drop amend": amend}
