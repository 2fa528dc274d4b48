"""The log outlives its writers: kill -9 at random moments loses nothing acknowledged, forks nothing, breaks no proof.

IGSTATS_KILLS sets how many writers are killed (default 40; 200 and more for a long run), IGSTATS_SEED which moments.
"""

import asyncio
import base64
import multiprocessing
import os
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.logs import one_log
from igstats_audit.model import Log
from igstats_client.merkle import check_consistency, check_inclusion, leaf_hash
from igstats_kit.clock import SystemClock
from igstats_kit.sql import Database

from tests.integration.audit.conftest import World, entry, signer

KILLS = int(os.environ.get("IGSTATS_KILLS", "40"))
SEED = int(os.environ.get("IGSTATS_SEED", str(random.SystemRandom().randrange(1 << 32))))
LONGEST_SECONDS = 0.25
AT_ONCE = 8
# Writers come from a server that has imported everything once: a fresh interpreter would take a second for each.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.integration.audit.test_kills"])


@dataclass(frozen=True)
class Acknowledged:
    """What a writer was told before it died."""

    entry_id: str
    index: int
    path: list[bytes]
    checkpoint: str


def write(url: str, folder: str, name: str, told: "Connection[Any, Any]") -> None:
    """The writer's process: appends as fast as it can, several callers at once, until it is killed."""
    asyncio.run(_write(url, Path(folder), name, told))


async def _write(url: str, folder: Path, name: str, told: "Connection[Any, Any]") -> None:
    database = Database(url)
    keys = DataKeys(FileKeyStore(folder / "keys"), DataKeyTable(database), SystemClock())
    await keys.ready()
    log = one_log(Log.EVIDENCE, database, keys, signer(Log.EVIDENCE), SystemClock(), folder / "tiles")
    await log.sequencer.open()
    worker = asyncio.create_task(log.sequencer.run())

    async def caller(number: int) -> None:
        for turn in range(1_000_000):
            names = [f"{name}-{number}-{turn}-{part}" for part in range(1 + turn % 3)]
            done = await log.sequencer.append([entry(one, f"req_{turn % 5}") for one in names])
            for one in done.acknowledgements:
                told.send(Acknowledged(one.entry_id, one.index, list(one.path), done.checkpoint))

    await asyncio.gather(worker, *(caller(number) for number in range(AT_ONCE)))


def _killed(url: str, folder: Path, name: str, seconds: float) -> list[Acknowledged]:
    """Lets a writer work until its first acknowledgement and then for `seconds`; answers what it was told."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    writer = PROCESSES.Process(target=write, args=(url, str(folder), name, sender))
    writer.start()
    sender.close()
    heard: list[Acknowledged] = []
    if receiver.poll(30):
        end = datetime.now(UTC).timestamp() + seconds
        while (left := end - datetime.now(UTC).timestamp()) > 0:
            if receiver.poll(left):
                heard.append(receiver.recv())
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join()
    while True:
        try:
            heard.append(receiver.recv())
        except (EOFError, OSError, ValueError):  # nothing more, or a message that was cut off
            return heard


def _size_and_root(checkpoint: str) -> tuple[int, bytes]:
    _, size, root, *_ = checkpoint.split("\n")
    return int(size), base64.b64decode(root)


async def test_killing_writers_loses_nothing_acknowledged_and_forks_nothing(
    database_url: Callable[[str], Awaitable[str]], tmp_path: Path
) -> None:
    url = await database_url("audit")
    kept = Database(url)
    try:
        await _check(World(kept, tmp_path), url, tmp_path)
    finally:
        await kept.close()


async def _check(world: World, url: str, folder: Path) -> None:
    await world.logs.cut.make_days()
    chance = random.Random(SEED)  # noqa: S311 - moments that can be repeated
    heard: list[Acknowledged] = []
    for number in range(KILLS):
        moment = chance.random() * LONGEST_SECONDS
        heard += await asyncio.to_thread(_killed, url, folder, f"writer{number}", moment)
    assert heard, f"no writer was told anything (seed {SEED})"

    await _verify(world, heard)


async def _verify(world: World, heard: Sequence[Acknowledged]) -> None:
    head = await world.evidence.store.head()
    size, root = head.tree.size, head.tree.root
    leaves = await world.evidence.store.leaves(0, size)
    entries = {one.at: one.entry_id for one in await world.ask("SELECT index AS at, entry_id FROM evidence_entries")}
    assert sorted(entries) == list(range(size)), f"indexes have gaps or doubles (seed {SEED})"
    assert len(set(entries.values())) == size
    for one in heard:
        told_size, told_root = _size_and_root(one.checkpoint)
        assert entries[one.index] == one.entry_id, f"{one.entry_id} is not where it was said to be (seed {SEED})"
        check_inclusion(leaf_hash(leaves[one.index]), one.index, told_size, one.path, told_root)
    for told_size, told_root in {_size_and_root(one.checkpoint) for one in heard}:
        path, _ = await world.evidence.proofs.consistency(told_size, size)
        check_consistency(told_size, told_root, size, root, path)
