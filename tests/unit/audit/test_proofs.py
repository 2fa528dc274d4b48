"""What the log answers to those who check it."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from igstats_audit.model import NewEntry
from igstats_audit.note import NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer
from igstats_audit.tiles import Tiles
from igstats_audit.tree import leaf_hash
from igstats_client.merkle import node_hash, root_of
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock

Log = Any
"""MemoryLog of conftest.py."""

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
SIZE = 11


def proofs_of(log: Log) -> Proofs:
    return Proofs(log, Tiles(log))


async def fill(log: Log, signer: NoteSigner, entries: list[NewEntry]) -> None:
    sequencer = Sequencer(log, proofs_of(log), signer, FakeClock(MOMENT))
    await sequencer.open()
    worker = asyncio.create_task(sequencer.run())
    for one in entries:
        await sequencer.append([one])
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


def entry(entry_id: str, kind: str = "test.made", request_id: str = "", payload: bytes = b"p") -> NewEntry:
    return NewEntry(entry_id, kind, request_id, "privacy" if kind == "request.closed" else "stats", payload, MOMENT)


@pytest_asyncio.fixture(loop_scope="session")
async def filled(memory_log: Log, note_signer: NoteSigner) -> Log:
    await fill(memory_log, note_signer, [entry(f"e{number}") for number in range(SIZE)])
    return memory_log


def consistent(old: int, old_root: bytes, size: int, path: list[bytes]) -> bytes:
    """The newer root that a consistency proof leads to (RFC 9162 section 2.1.4.2), once it has led to the old one."""
    if old == size:
        assert not path
        return old_root
    hashes = [old_root, *path] if old & (old - 1) == 0 else path
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_found = found = hashes[0]
    for one in hashes[1:]:
        assert last
        if place & 1 or place == last:
            old_found, found = node_hash(one, old_found), node_hash(one, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, one)
        place, last = place >> 1, last >> 1
    assert (last, old_found) == (0, old_root)
    return found


async def test_every_leaf_is_proved_in_every_later_tree(filled: Log) -> None:
    proofs = proofs_of(filled)
    roots: dict[int, bytes] = {}
    for size in range(1, SIZE + 1):
        for index in range(size):
            path, told, checkpoint = await proofs.inclusion(index, size)
            assert told == size
            assert bool(checkpoint) == (size == SIZE)
            root = root_of(leaf_hash(filled.kept[index].leaf), index, size, path)
            assert roots.setdefault(size, root) == root
    assert roots[SIZE] == filled.newest.tree.root


async def test_every_tree_is_proved_to_extend_every_older_one(filled: Log) -> None:
    proofs = proofs_of(filled)
    roots = {}
    for size in range(1, SIZE + 1):
        path, _, _ = await proofs.inclusion(0, size)
        roots[size] = root_of(leaf_hash(filled.kept[0].leaf), 0, size, path)
    for size in range(1, SIZE + 1):
        for old in range(1, size + 1):
            path, told = await proofs.consistency(old, size)
            assert told == size
            assert consistent(old, roots[old], size, path) == roots[size]


async def test_size_zero_means_the_newest_tree(filled: Log) -> None:
    assert (await proofs_of(filled).inclusion(0, 0))[1] == SIZE
    assert (await proofs_of(filled).consistency(1, 0))[1] == SIZE


@pytest.mark.parametrize(
    ("index", "size", "reason"),
    [(SIZE, 0, Reason.ENTRY_NOT_FOUND), (3, 3, Reason.ENTRY_NOT_FOUND), (0, SIZE + 1, Reason.TREE_SIZE_INVALID)],
)
async def test_no_proof_of_what_is_not_there(filled: Log, index: int, size: int, reason: Reason) -> None:
    with pytest.raises(DomainError) as refused:
        await proofs_of(filled).inclusion(index, size)
    assert refused.value.reason is reason


@pytest.mark.parametrize(("old", "size"), [(0, 5), (6, 5), (1, SIZE + 1), (SIZE + 1, 0)])
async def test_no_consistency_of_sizes_that_are_not_there(filled: Log, old: int, size: int) -> None:
    with pytest.raises(DomainError) as refused:
        await proofs_of(filled).consistency(old, size)
    assert refused.value.reason is Reason.TREE_SIZE_INVALID


async def test_an_entry_is_read_by_its_index(filled: Log) -> None:
    assert (await proofs_of(filled).entry(4)).entry_id == "e4"
    with pytest.raises(DomainError) as refused:
        await proofs_of(filled).entry(SIZE)
    assert refused.value.reason is Reason.ENTRY_NOT_FOUND
