"""Runs the emulator: python -m igstats_dev.instagram --listen 127.0.0.1:8090 --profiles 24."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from igstats_kit.clock import SystemClock

from igstats_dev.instagram.oauth import App
from igstats_dev.instagram.people import People
from igstats_dev.instagram.server import Emulator


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="igstats_dev.instagram", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0", help="host:port; port 0 picks a free one")
    parser.add_argument("--profiles", type=int, default=24, help="how many synthetic profiles")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other people")
    parser.add_argument("--app", type=App.parse, action="append", default=[], help="id:secret of an app with Login")
    return parser.parse_args()


async def serve(listen: str, profiles: int, seed: int, apps: Sequence[App] = ()) -> None:
    """Serves until SIGTERM or SIGINT; prints its address once it listens."""
    emulator = Emulator(People(profiles, seed=seed), SystemClock(), apps)
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    async with emulator.listening(listen) as url:
        sys.stdout.write(f"instagram emulator on {url}\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    given = arguments()
    asyncio.run(serve(given.listen, given.profiles, given.seed, given.app))
