"""Runs the catcher: python -m igstats_dev.mail --smtp 127.0.0.1:1025 --http 127.0.0.1:8025 --folder .igstats/mail."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from igstats_dev.faults import Faults
from igstats_dev.mail.catcher import KINDS, Catcher
from igstats_dev.mail.letters import Letters
from igstats_dev.mail.server import Reader


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="igstats_dev.mail", description=__doc__)
    parser.add_argument("--smtp", default="127.0.0.1:0", help="host:port for letters; port 0 picks a free one")
    parser.add_argument("--http", default="127.0.0.1:0", help="host:port for their readers")
    parser.add_argument("--folder", type=Path, default=Path(".igstats/mail"), help="where letters are kept")
    return parser.parse_args()


async def serve(smtp: str, http: str, folder: Path) -> None:
    """Serves until SIGTERM or SIGINT; prints its addresses once it listens."""
    letters, faults = Letters(folder), Faults(KINDS)
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    async with Reader(letters, faults).listening(http) as reading, Catcher(letters, faults).listening(smtp) as taking:
        sys.stdout.write(f"letters are taken on port {taking} and shown on port {reading}\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    given = arguments()
    asyncio.run(serve(given.smtp, given.http, given.folder))
