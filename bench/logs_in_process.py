"""Logs of a benchmark's own, in a database of a running server: what needs no service around it is measured here."""

import asyncio
import contextlib
import gc
import hashlib
import random
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.logs import Logs, OneLog, both_logs, one_log, origin
from igstats_audit.model import CALL_ANSWERED, Delivery, Log, NewCall, NewEntry
from igstats_audit.note import NoteSigner
from igstats_audit.tables import CALL_DAYS
from igstats_client.log_audit import audit
from igstats_client.merkle import check_inclusion, leaf_hash
from igstats_client.note import Checkpoint
from igstats_client.tiles import tile_path
from igstats_kit.migrate import upgrade
from igstats_kit.sql import Database
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.databases import versions
from igstats_kit.testing.postgres import Postgres

_BATCH = 5_000
_PROOFS = 20_000


@contextlib.asynccontextmanager
async def own_logs(
    postgres: Postgres, folder: Path, name: str, moment: datetime
) -> AsyncIterator[tuple[Logs, FakeClock]]:
    """Both logs with their writers at work, in a new database."""
    password = secrets.token_urlsafe(16)
    await postgres.ensure_role(name, password)
    await postgres.ensure_database(name, name)
    url = postgres.url(name, password, name)
    await upgrade(url, versions("audit"))
    database, clock = Database(url), FakeClock(moment)
    keys = DataKeys(FileKeyStore(folder / f"{name}-keys"), DataKeyTable(database), clock)
    await keys.ready()
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    single = {
        log: one_log(log, database, keys, NoteSigner(origin("bench", log), pem), clock, folder / f"{name}-tiles")
        for log in Log
    }
    logs = both_logs(database, single[Log.EVIDENCE], single[Log.ACCESS], clock)
    await logs.cut.make_days()
    workers = []
    for one in single.values():
        await one.sequencer.open()
        workers.append(asyncio.create_task(one.sequencer.run()))
    try:
        yield logs, clock
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await database.close()


@dataclass(frozen=True)
class Million:
    """Figures of a large log."""

    size: int
    append_rate: float
    proof_us: float
    proof_hashes: float
    verify_rate: float
    audit_rate: float
    hash_rate: float
    tile_bytes: float

    @classmethod
    async def measured(cls, postgres: Postgres, folder: Path, size: int) -> "Million":
        """Fills a log and measures it."""
        async with own_logs(postgres, folder, "bench_million", datetime.now(UTC)) as (logs, _):
            log = logs.evidence
            began = time.perf_counter()
            await _fill(log, size)
            append_rate = size / (time.perf_counter() - began)
            await log.files.publish()
            proof_us, proof_hashes, verify_rate = await _proofs(log, size)
            audit_rate, hash_rate = await _audited(log)
            files = (folder / "bench_million-tiles" / "evidence" / "tile").glob("[0-9]*/**/*")
            tile_bytes = sum(file.stat().st_size for file in files if file.is_file()) / (size - size % 256)
        return cls(size, append_rate, proof_us, proof_hashes, verify_rate, audit_rate, hash_rate, tile_bytes)


async def _fill(log: OneLog, size: int) -> None:
    now = datetime.now(UTC)

    async def part(first: int) -> None:
        entries = [
            NewEntry(f"bench-{number}", "bench.made", "", "stats", b"p" * 100, now, number + 1)
            for number in range(first, min(first + _BATCH, size))
        ]
        await log.sequencer.deliver(entries, Delivery("bench", []))

    for first in range(0, size, 2 * _BATCH):
        await asyncio.gather(part(first), part(first + _BATCH))


async def _proofs(log: OneLog, size: int) -> tuple[float, float, float]:
    """Median time of a proof from a warm memory (us), its hashes, and how many proofs a second the client verifies."""
    head = await log.store.head()
    chosen = random.Random(1).choices(range(size), k=_PROOFS)  # noqa: S311 - the same places in every run
    for index in chosen:
        await log.proofs.path(index, size)
    taken, proofs = [], []
    gc.collect()
    for index in chosen:
        began = time.perf_counter()
        found = log.proofs.path_at_hand(index, size)
        taken.append((time.perf_counter() - began) * 1e6)
        if found is None:
            raise RuntimeError(f"the proof of entry {index} was not in memory")
        proofs.append((index, found))
    leaves = {index: (await log.store.leaves(index, index + 1))[0] for index in chosen[:500]}
    rounds = [(leaves[index], index, path) for index, path in proofs[:500]] * 40
    root, began = head.tree.root, time.process_time()
    for leaf, index, path in rounds:
        check_inclusion(leaf_hash(leaf), index, size, path, root)
    verify_rate = len(rounds) / (time.process_time() - began)
    return statistics.median(taken), statistics.mean(1 + len(path) for _, _, path in rounds), verify_rate


async def _audited(log: OneLog) -> tuple[float, float]:
    """Leaves a second of a whole audit of the files, and hashes a second of SHA-256 alone.

    A leaf and a node both fill two blocks of SHA-256, and a tree has as many nodes as leaves, less one.
    """
    tree = (await log.store.head()).tree
    files = {path: (await log.files.file(path))[0] for path in _paths(tree.size)}
    rates = []
    for _ in range(3):
        began = time.process_time()
        seen = audit(Checkpoint("bench/evidence", tree.size, tree.root), files.get)
        rates.append(seen.hashed / (time.process_time() - began))
    leaf, began = b"\0" * 94, time.process_time()
    for _ in range(200_000):
        hashlib.sha256(leaf).digest()
    return statistics.median(rates), 200_000 / (time.process_time() - began)


def _paths(size: int) -> Iterator[str]:
    """Every hash tile and bundle of a log."""
    level = 0
    while rest := size >> (8 * level):
        for place in range(-(-rest // 256)):
            width = min(256, rest - place * 256)
            yield tile_path(level, place, width)
            if level == 0:
                yield tile_path(None, place, width)
        level += 1


@dataclass(frozen=True)
class Ageing:
    """What the end of a day costs, for a large day and a small one."""

    large: int
    small: int
    large_ms: float
    small_ms: float
    drop_ms: float

    @classmethod
    async def measured(cls, postgres: Postgres, folder: Path, large: int, day: date) -> "Ageing":
        """Fills a day of each size and ends it."""
        small = large // 10
        small_ms, _ = await _ended(postgres, folder, "bench_small", small, day)
        large_ms, drop_ms = await _ended(postgres, folder, "bench_large", large, day)
        return cls(large, small, large_ms, small_ms, drop_ms)


async def _ended(postgres: Postgres, folder: Path, name: str, size: int, day: date) -> tuple[float, float]:
    """Milliseconds until the day has left the log, and from then until its tables are gone."""
    moment = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
    async with own_logs(postgres, folder, name, moment) as (logs, clock):
        for position, first in enumerate(range(0, size, _BATCH), start=1):
            calls: list[NewEntry] = [
                NewCall(
                    f"req_{number}", CALL_ANSWERED, "", "gateway", b"c" * 200, moment, number + 1, position=position
                )
                for number in range(first, min(first + _BATCH, size))
            ]
            await logs.access.sequencer.deliver(calls, Delivery("gateway", [], position))
        await logs.access.files.publish()
        clock.advance(timedelta(days=CALL_DAYS + 1))
        await logs.cut.make_days()
        began = time.perf_counter()
        plans = await logs.cut.run(clock.now().date())
        taken = (time.perf_counter() - began) * 1000
        if max(plan.end - plan.start for plan in plans) != size:
            raise RuntimeError("the cut did not take the whole day")
        began = time.perf_counter()
        await logs.cut.tidy()
        return taken, (time.perf_counter() - began) * 1000
