"""Kills the writers of both logs at random moments, and PostgreSQL once in between; then looks what is left.

`python -m tests.integration.audit.kills [--kills 200] [--seed N]` prints the outcome as JSON and ends with 1 when
anything was lost, forked or broken.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from igstats_kit.sql import Database
from igstats_kit.testing.databases import Databases
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import free_port

from tests.integration.audit.conftest import World
from tests.integration.audit.survivors import Acknowledged, Findings, Word, look
from tests.integration.audit.writers import Writer, calls_at

DEFAULT_KILLS = 200
LONGEST_SECONDS = 0.1
"""How long a writer lives at most after it has begun to write."""


@dataclass(frozen=True)
class Outcome:
    """What came of it: how many were killed, what they had been told, what of that does not hold."""

    kills: int
    restarts: int
    entries: int
    calls: int
    findings: Findings

    @property
    def well(self) -> bool:
        """Whether there was something to lose, and none of it was."""
        return bool(self.entries and self.calls) and self.findings == Findings()


async def survive(folder: Path, kills: int, seed: int) -> Outcome:
    """Kills so many writers, two at a time, on a server of its own that keeps what it has acknowledged."""
    server = Postgres(folder / "postgres", port=free_port())
    await server.start()
    try:
        url = await Databases(server, folder).fresh("audit")
        kept = Database(url)
        world = World(kept, folder)
        await world.logs.cut.make_days()
        told = await _killed(server, url, folder, kills // 2, random.Random(seed))  # noqa: S311 - can be repeated
        entries = sum(isinstance(word, Acknowledged) for word in told)
        names = {call for word in told if not isinstance(word, Acknowledged) for call in _calls(word.position)}
        findings = await look(world, told, _calls)
        await kept.close()
        return Outcome(kills // 2 * 2, 1, entries, len(names), findings)
    finally:
        await server.stop()


def _calls(position: int) -> list[str]:
    return [one.call_id for one in calls_at(position)]


async def _killed(server: Postgres, url: str, folder: Path, rounds: int, chance: random.Random) -> list[Word]:
    """Kills two writers a round; in the middle round the server before them, while they write."""
    told: list[Word] = []
    for number in range(rounds):
        writers = [Writer(url, folder, f"writer{number}{name}") for name in "ab"]
        try:
            await _together(writers, "warm")
            await _together(writers, "go_on")
            if number == rounds // 2:
                await server.kill()
                await server.start()
                await _together(writers, "hear_news")
            moments = [chance.random() * LONGEST_SECONDS for _ in writers]
            heard = await asyncio.gather(*map(asyncio.to_thread, [writer.kill for writer in writers], moments))
            told += itertools.chain(*heard)
        except BaseException:
            for writer in writers:
                writer.end()
            raise
    return told


async def _together(writers: Sequence[Writer], what: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(getattr(writer, what)) for writer in writers))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=DEFAULT_KILLS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # the server may run as somebody else
        outcome = asyncio.run(survive(Path(folder), arguments.kills, arguments.seed))
    print(json.dumps({"seed": arguments.seed, **asdict(outcome)}))  # noqa: T201 - the answer
    return 0 if outcome.well else 1


if __name__ == "__main__":
    sys.exit(main())
