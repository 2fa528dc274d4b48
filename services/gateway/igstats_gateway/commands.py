"""The command line of the gateway."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from igstats_gateway.doors.drop.rules import Outcome
from igstats_gateway.model import Billing, Contact
from igstats_gateway.routes import routes

_NOBODY = Contact("", "", "")
_MOST_DAYS = 3650


@dataclass(frozen=True)
class Arguments:
    """What was asked for."""

    command: str
    company: str = ""
    contact: Contact = _NOBODY
    scopes: tuple[str, ...] = ()
    billing: Billing | None = None
    item: str = ""
    outcome: str = ""
    account_id: str = ""
    key_id: str = ""
    label: str = ""
    days: int | None = None


def scopes() -> tuple[str, ...]:
    """Every scope that some public method asks for."""
    return tuple(sorted({route.rule.scope for route in routes().values()}))


def parse(argv: Sequence[str]) -> Arguments:
    """Reads the command line; ends the process with a message when it is wrong."""
    given = _parser().parse_args(argv)
    if given.command == "drop":
        return Arguments("drop amend", item=given.item, outcome=given.outcome)
    if given.command == "key":
        return _key(given)
    if given.command != "account":
        return Arguments(given.command)
    billing = Billing(given.billing_name, given.billing_address, given.vat_number)
    return Arguments(
        "account create",
        given.company,
        Contact("", given.email, given.name),
        tuple(given.scopes),
        billing if billing != Billing() else None,
    )


def _key(given: argparse.Namespace) -> Arguments:
    if given.action == "revoke":
        return Arguments("key revoke", key_id=given.key_id)
    scopes = tuple(given.scopes)
    return Arguments("key create", scopes=scopes, account_id=given.account_id, label=given.label, days=given.days)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="igstats-gateway", description="The only door from outside.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service")
    commands.add_parser("migrate", help="bring the database to the newest revisions")
    commands.add_parser("check", help="check the settings and print them")
    drop = commands.add_parser("drop", help="California's Delete Request and Opt-out Platform")
    amend = drop.add_subparsers(dest="action", required=True).add_parser("amend", help="correct a reported answer")
    amend.add_argument("item", help="id of the item")
    amend.add_argument("outcome", choices=[one.name.lower() for one in Outcome])
    _add_account(commands.add_parser("account", help="accounts of customers"))
    _add_key(commands.add_parser("key", help="API keys of any account"))
    return parser


def _add_account(account: argparse.ArgumentParser) -> None:
    create = account.add_subparsers(dest="action", required=True).add_parser(
        "create", help="make an account with a contact and a key, and print them as JSON"
    )
    create.add_argument("--company", required=True)
    create.add_argument("--email", required=True, help="mail address of the contact")
    create.add_argument("--name", default="", help="name of the contact")
    _add_scopes(create)
    create.add_argument("--billing-name", default="")
    create.add_argument("--billing-address", default="")
    create.add_argument("--vat-number", default="")


def _add_key(key: argparse.ArgumentParser) -> None:
    actions = key.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key of an account, and print it as JSON")
    create.add_argument("account_id", metavar="ACCOUNT")
    create.add_argument("--label", default="made by an operator")
    _add_scopes(create)
    create.add_argument("--days", type=_days, help="when it ends; without, never")
    actions.add_parser("revoke", help="refuse a key from now on").add_argument("key_id", metavar="KEY_ID")


def _add_scopes(create: argparse.ArgumentParser) -> None:
    create.add_argument("--scopes", nargs="+", choices=scopes(), default=scopes(), metavar="SCOPE")


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_DAYS}")
    return int(text)
