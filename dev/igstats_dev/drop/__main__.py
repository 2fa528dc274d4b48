"""Runs the emulator: python -m igstats_dev.drop --listen 127.0.0.1:8091 --key KEY."""

import argparse
import asyncio
import signal
import sys

from igstats_kit.clock import SystemClock

from igstats_dev.drop.server import Emulator


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="igstats_dev.drop", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0", help="host:port; port 0 picks a free one")
    parser.add_argument("--key", required=True, help="the broker's API key")
    return parser.parse_args()


async def serve(listen: str, key: str) -> None:
    """Serves until SIGTERM or SIGINT; prints its address once it listens."""
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    async with Emulator(SystemClock(), key).listening(listen) as url:
        sys.stdout.write(f"DROP emulator on {url}\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    given = arguments()
    asyncio.run(serve(given.listen, given.key))
