"""The audit log: what an append, a proof, a check and the end of a day cost. Real servers, fsync on.

`python bench/audit.py [--entries 1000000] [--day 500000] [--rounds 5] [--seconds 1.5] [--kills 200]
 [--out bench/RESULTS.md]`

Every figure is a ratio against something measured in the same run, in turns with it: a bare COPY of the same rows, an
empty call to the same server, a bare fdatasync. What has no peer is a rate per core. At the end writers are killed,
and what is left is compared with what they were told.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, cast

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from igstats.audit.v1.audit_service_pb2 import AppendEntriesRequest, NewEntry
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import Stack, running
from kills import of_kills
from logs_in_process import Ageing, Million
from results import Line, keep, show
from rich.console import Console

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub

BATCH, CALLERS, APPENDERS = 1_000, 128, 2
PAYLOAD = b"p" * 160
PEER = "measured beside it"
COPIED = (
    "CREATE TABLE copied (index bigint, day date, entry_id text, kind text, request_id text, producer text,"
    " sequence bigint, leaf bytea, key_id text, sealed bytea, occurred_at timestamptz, PRIMARY KEY (index, day))"
)
INSERTED = "INSERT INTO copied VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


@dataclass
class Served:
    """Figures of the running service, one a round."""

    batch: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)
    unary: list[float] = field(default_factory=list)
    echo: list[float] = field(default_factory=list)
    ack_ms: list[float] = field(default_factory=list)
    echo_ms: list[float] = field(default_factory=list)
    insert_ms: list[float] = field(default_factory=list)
    sync_ms: list[float] = field(default_factory=list)


class Callers:
    """Clients of the audit service, with the certificate of a producer."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._audit = cast("AuditServiceAsyncStub", AuditServiceStub(channel))
        self._health = HealthStub(channel)
        self._numbers = count()

    def _entries(self, number: int) -> AppendEntriesRequest:
        made = [
            NewEntry(entry_id=f"bench-{next(self._numbers)}", kind="bench.made", producer="stats", payload=PAYLOAD)
            for _ in range(number)
        ]
        return AppendEntriesRequest(entries=made)

    async def append(self, number: int) -> int:
        """Appends entries; answers how many."""
        return len((await self._audit.AppendEntries(self._entries(number), timeout=60)).acknowledgements)

    async def echo(self, _number: int) -> int:
        """The empty call."""
        await self._health.Check(HealthCheckRequest(), timeout=60)
        return 1


async def rate(call: Callable[[int], Awaitable[int]], number: int, callers: int, seconds: float) -> float:
    """How many a second `callers` get done side by side."""
    end, done = time.perf_counter() + seconds, 0

    async def repeat() -> None:
        nonlocal done
        while time.perf_counter() < end:
            made = await call(number)  # apart: `done += await` would read `done` before it waits
            done += made

    began = time.perf_counter()
    await asyncio.gather(*(repeat() for _ in range(callers)))
    return done / (time.perf_counter() - began)


async def median_ms(call: Callable[[int], Awaitable[int]], seconds: float) -> float:
    """Median time of a call, one after the other."""
    taken, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await call(1)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def sync_ms(folder: Path) -> float:
    """Median time of a bare fdatasync of a small write."""
    taken = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 512)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def bare(stack: Stack, seconds: float) -> tuple[float, float]:
    """What PostgreSQL does alone with the same rows, each write its own transaction.

    Rows a second of COPYs of a batch, and the median time (ms) of an INSERT of one.
    """
    numbers, now = count(), datetime.now(UTC)
    leaf, sealed = os.urandom(93), os.urandom(len(PAYLOAD) + 32 + 28)

    def rows(number: int) -> list[tuple[object, ...]]:
        return [
            (n, now.date(), f"bench-{n}", "bench.made", "", "stats", 0, leaf, "key_1", sealed, now)
            for n in (next(numbers) for _ in range(number))
        ]

    async with stack.postgres.admin() as connection:
        await connection.execute(COPIED)

        async def copy(number: int) -> int:
            await connection.copy_records_to_table("copied", records=rows(number))
            return number

        async def insert(number: int) -> int:
            await connection.executemany(INSERTED, rows(number))
            return number

        try:
            return await rate(copy, BATCH, 1, seconds), await median_ms(insert, seconds)
        finally:
            await connection.execute("DROP TABLE copied")


async def served(stack: Stack, arguments: argparse.Namespace) -> Served:
    """Measures the running service."""
    certificate, found = stack.layout.certificates["stats"], Served()
    credentials = grpc.ssl_channel_credentials(
        stack.layout.authority.certificate.read_bytes(),
        certificate.key.read_bytes(),
        certificate.certificate.read_bytes(),
    )
    options = (("grpc.ssl_target_name_override", "audit"), ("grpc.max_receive_message_length", 64 << 20))
    async with grpc.aio.secure_channel(stack.layout.address("audit-rpc"), credentials, options=options) as channel:
        callers, seconds = Callers(channel), arguments.seconds
        await rate(callers.append, BATCH, APPENDERS, seconds)  # fills caches, prepares statements
        for _ in range(arguments.rounds):
            found.batch.append(await rate(callers.append, BATCH, APPENDERS, seconds))
            copied, inserted = await bare(stack, seconds)
            found.copy.append(copied)
            found.insert_ms.append(inserted)
            found.unary.append(await rate(callers.append, 1, CALLERS, seconds))
            found.echo.append(await rate(callers.echo, 1, CALLERS, seconds))
            found.ack_ms.append(await median_ms(callers.append, seconds))
            found.echo_ms.append(await median_ms(callers.echo, seconds))
            found.sync_ms.append(sync_ms(stack.layout.logs))
    return found


def of_service(found: Served) -> list[Line]:
    """The lines of the running service."""
    batch = statistics.median(a / b for a, b in zip(found.batch, found.copy, strict=True))
    unary = statistics.median(a / b for a, b in zip(found.unary, found.echo, strict=True))
    beyond = statistics.median(
        (ack - echo) / sync for ack, echo, sync in zip(found.ack_ms, found.echo_ms, found.sync_ms, strict=True)
    )
    middle = {name: statistics.median(values) for name, values in vars(found).items()}
    return [
        Line(
            f"AppendEntries({BATCH}), {APPENDERS} callers / COPY of the same rows",
            f"{batch:.2f} ({middle['batch']:,.0f} entries a second)",
            "0.5, floor 0.35",
            f"COPY {middle['copy']:,.0f} rows a second",
            batch >= 0.5,
        ),
        Line(
            f"AppendEntries(1) at {CALLERS} callers / empty call",
            f"{unary:.2f} ({middle['unary']:,.0f} a second)",
            "0.85, floor 0.6",
            f"empty call {middle['echo']:,.0f} a second",
            unary >= 0.85,
        ),
        Line(
            "(ack - empty call) / fdatasync, 1 caller, medians",
            f"{beyond:.1f} (ack {middle['ack_ms']:.2f} ms)",
            "3",
            f"empty call {middle['echo_ms']:.2f} ms, fdatasync {middle['sync_ms']:.2f} ms,"
            f" bare INSERT of one row {middle['insert_ms']:.2f} ms",
            beyond <= 3,
        ),
    ]


def of_million(found: Million) -> list[Line]:
    """The lines of a large log."""
    return [
        Line(
            f"warm inclusion proof at {found.size:,} entries, median",
            f"{found.proof_us:.1f} us",
            "15 us",
            f"appended at {found.append_rate:,.0f} a second, in process",
            found.proof_us <= 15,
        ),
        Line(
            "verifying inclusion proofs, a core",
            f"{found.verify_rate:,.0f} a second",
            "60,000",
            f"client; SHA-256 of as many nodes alone: {found.hash_rate / found.proof_hashes:,.0f}",
            found.verify_rate >= 60_000,
        ),
        Line(
            "auditing a whole log from its files, a core",
            f"{found.audit_rate:,.0f} leaves a second",
            "900,000",
            f"client; SHA-256 of the leaves and of their nodes alone: {found.hash_rate / 2:,.0f}",
            found.audit_rate >= 900_000,
        ),
        Line(
            "hash tiles, bytes a living leaf",
            f"{found.tile_bytes:.2f}",
            "33",
            "32 is the hash itself",
            found.tile_bytes <= 33,
        ),
    ]


def of_ageing(found: Ageing) -> list[Line]:
    """The lines of the end of a day."""
    return [
        Line(
            f"ending a day of {found.large:,} calls",
            f"{found.large_ms:.0f} ms",
            "100 ms",
            f"a day of {found.small:,}: {found.small_ms:.0f} ms; tables gone {found.drop_ms:.0f} ms later",
            found.large_ms < 100,
        )
    ]


async def main() -> int:
    """Runs the benchmark; answers 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--day", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    today: date = datetime.now(UTC).date()
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), ConsoleReport(Console(stderr=True))) as stack:
            # The monitor checks every new entry on one of these two cores; it is a pod of its own elsewhere.
            os.kill(stack.parts["monitor"].child.pid or 0, signal.SIGSTOP)
            lines = of_service(await served(stack, arguments))
            lines += of_million(await Million.measured(stack.postgres, Path(folder), arguments.entries))
            long_ago = today - timedelta(days=40)
            lines += of_ageing(await Ageing.measured(stack.postgres, Path(folder), arguments.day, long_ago))
            os.kill(stack.parts["monitor"].child.pid or 0, signal.SIGCONT)
    lines += await of_kills(arguments.kills)
    show(lines, PEER)
    if arguments.out:
        keep(lines, "audit", PEER, arguments.out)
    return 0 if all(line.kept for line in lines) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
