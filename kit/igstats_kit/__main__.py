"""python -m igstats_kit nats-users [--operator NAME]: prints the users that a NATS server must have."""

import argparse
import sys

from igstats_kit.permissions import authorization

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="igstats_kit")
    command = parser.add_subparsers(required=True).add_parser("nats-users", help="print what NATS must allow")
    command.add_argument("--operator", default="", help="name of a person's certificate that may do anything")
    sys.stdout.write(authorization(operator=parser.parse_args().operator))
