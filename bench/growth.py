"""How the cost of a deletion grows with holders and with persons in the databases.

`python bench/growth.py [--holders 4 10 20 40] [--people 2000 20000 200000] [--out bench/RESULTS.md]`

Holders: privacy and audit with NATS and PostgreSQL as always, and synthetic holders (bench/synthetic.py), all in one
process, each with a certificate and a database of its own. One more costs its own work, so the limit is on the cost
a holder: with ten times the holders, one holder's share of a deletion must not have grown.
Persons: the four services, about 50 rows a person. The work for one must not depend on how many others there are, so
the limit is on the ratio to the smallest number.
Every row of the deleted persons must be gone afterwards, and every other row there.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ballast import Ballast
from erasure import Measured
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Right
from igstats_dev import ports
from igstats_dev.crowd import ROWS_A_PERSON, Crowd
from igstats_dev.layout import Layout
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import Stack, running
from requesting import Requests, requests
from results import Line, keep, show
from rich.console import Console
from synthetic import ROWS, Synthetic, nats

SINGLES, BURST = 20, 100
LIMIT_SHARE, LIMIT_PEOPLE = 1.2, 1.5
PEER = "measured beside it"
_HOLDERS = "IGSTATS_PRIVACY_HOLDERS"
_REAL = ("audit", "privacy")


@dataclass(frozen=True)
class Point:
    """Cost of a deletion at one size."""

    size: int
    one_ms: float
    a_second: float


async def _deleted(driver: Requests, email: str) -> None:
    identifier = Identifier(kind=IdentifierKind.IDENTIFIER_KIND_EMAIL, value=email)
    await driver.run(Right.RIGHT_ERASURE, email, [identifier])


async def _timed(driver: Requests, people: Iterator[str], size: int) -> Point:
    await _deleted(driver, next(people))  # the first one prepares statements
    times = []
    for _ in range(SINGLES):
        start = time.perf_counter()
        await _deleted(driver, next(people))
        times.append((time.perf_counter() - start) * 1000)
    batch = [next(people) for _ in range(BURST)]
    start = time.perf_counter()
    await asyncio.gather(*(_deleted(driver, email) for email in batch))
    return Point(size, statistics.median(times), BURST / (time.perf_counter() - start))


async def grow_holders(folder: Path, sizes: Sequence[int]) -> list[Point]:
    """A deletion with ever more holders; privacy and audit themselves are two of them."""
    names = [f"holder-{number:02}" for number in range(max(sizes) - len(_REAL))]
    os.environ[_HOLDERS] = ",".join([*_REAL, *names])
    everybody = [f"person-{number}@bench.example" for number in range(len(sizes) * (SINGLES + BURST + 1))]
    with ports.reserved(folder / "ports.json") as chosen:
        layout = Layout.make(folder, chosen)
        stack = Stack(layout, ConsoleReport(Console(stderr=True)), _REAL)
        stack.nats = nats(layout, names)
        try:
            await stack.start()
            synthetic = Synthetic(stack, everybody)
            async with requests(stack) as driver:
                people, points = iter(everybody), []
                for size in sizes:
                    for name in names[len(synthetic) : size - len(_REAL)]:
                        await synthetic.add(name)
                    points.append(await _timed(driver, people, size))
            await _check(synthetic, sizes)
            await synthetic.close()
        finally:
            await stack.stop()
            del os.environ[_HOLDERS]
    return points


async def _check(synthetic: Synthetic, sizes: Sequence[int]) -> None:
    """A holder that came later has not been asked about those who went before."""
    each = SINGLES + BURST + 1
    kept = sum((size - before) * place * each for place, (before, size) in enumerate(_steps(sizes)))
    if (left := await synthetic.rows()) != kept * ROWS:
        raise RuntimeError(f"{left} rows are left at the synthetic holders, expected {kept * ROWS}")


def _steps(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip([len(_REAL), *sizes], sizes, strict=False)


async def grow_people(folder: Path, sizes: Sequence[int]) -> list[Point]:
    """A deletion among ever more persons."""
    points = []
    async with running(folder, ConsoleReport(Console(stderr=True))) as stack, requests(stack) as driver:
        crowd = Crowd(stack)
        people = await crowd.make(len(sizes) * (SINGLES + BURST + 5) + 1)
        ballast, deletions = Ballast(stack, people[-1]), Measured(driver, Right.RIGHT_ERASURE)
        queue = iter(people)
        for size in sizes:
            await ballast.grow(size - len(people))
            await deletions.singles(queue, 5)
            one = statistics.median(await deletions.singles(queue, SINGLES))
            points.append(Point(size, one, await deletions.burst(queue, BURST)))
        expected = (len(list(queue)) + ballast.count) * ROWS_A_PERSON
        if (left := await crowd.left()) != expected:
            raise RuntimeError(f"{left} rows are left, expected {expected}")
        await crowd.close()
    return points


def rows(holders: Sequence[Point], people: Sequence[Point]) -> list[Line]:
    """What was measured."""
    found = []
    for first, point in ((holders[0], point) for point in holders):
        share, before = 1000 / point.a_second / point.size, 1000 / first.a_second / first.size
        what = f"a deletion with {point.size} holders, {BURST} at once: cost a holder"
        limit = f"{LIMIT_SHARE} of that with {first.size}, ratio {share / before:.2f}"
        beside = f"{point.a_second:.0f} deletions a second; one alone {point.one_ms:.0f} ms"
        found.append(Line(what, f"{share:.2f} ms", limit, beside, share <= LIMIT_SHARE * before))
    for first, point in ((people[0], point) for point in people):
        ratio = point.one_ms / first.one_ms
        limit = f"{LIMIT_PEOPLE} of that among {first.size:,}, ratio {ratio:.2f}"
        beside = f"{point.a_second:.0f} a second, {BURST} at once"
        what = f"a deletion among {point.size:,} persons, median"
        found.append(Line(what, f"{point.one_ms:.0f} ms", limit, beside, ratio <= LIMIT_PEOPLE))
    return found


async def main() -> int:
    """Runs the benchmark; answers 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holders", type=int, nargs="+", default=[4, 10, 20, 40])
    parser.add_argument("--people", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        holders = await grow_holders(Path(folder), arguments.holders)
    with tempfile.TemporaryDirectory() as folder:
        people = await grow_people(Path(folder), arguments.people)
    found = rows(holders, people)
    show(found, PEER)
    if arguments.out:
        keep(found, "growth", PEER, arguments.out)
    return 0 if all(line.kept for line in found) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
