"""Bends true files at random: none verifies any more, and every refusal is a typed one.

Each run has a new seed and prints it. IGSTATS_FUZZ_SEED repeats a run, IGSTATS_FUZZ_ROUNDS makes it longer (default
1,500 changes of each kind of file; an hour's run is about 5,000,000).
"""

import os
import random
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from igstats_client.checkpoint import Trust, open_checkpoint, trust
from igstats_client.forms import Refusal, text_of
from igstats_client.merkle import check_consistency
from igstats_client.proof_file import check

Written = Any
"""What conftest.py writes."""

SEED = int(os.environ.get("IGSTATS_FUZZ_SEED") or secrets.randbits(32))
ROUNDS = int(os.environ.get("IGSTATS_FUZZ_ROUNDS") or 1500)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = f"{SEED}/{request.node.name}"
    print(f"IGSTATS_FUZZ_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    return random.Random(seed)  # noqa: S311 - a seed that can be given again is the point


@pytest.fixture(scope="module")
def trusted(small_log: Written) -> Trust:
    return trust(small_log.signer.verifier_keys, needed=2)


def flip(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def bend(content: bytes, chance: random.Random) -> bytes:
    """One change that a disk, a network or a forger could make."""
    start, end = sorted(chance.choices(range(len(content) + 1), k=2))
    place = chance.randrange(len(content) + 1)
    match chance.randrange(6):
        case 0:
            return content[:start] + content[end:]
        case 1:
            return content[:place] + content[start:end] + content[place:]
        case 2:
            return content[:place] + chance.randbytes(chance.randint(1, 4)) + content[place:]
        case 3:
            return content[:place] + chance.choice([b"\n", b"\n\n", b" ", b"+", b"=", b"0", b"\r\n"]) + content[place:]
        case 4:
            lines = content.split(b"\n")
            chance.shuffle(lines)
            return b"\n".join(lines)
    return content[:start] + content[start:end][::-1] + content[end:]


def survivors(content: bytes, verify: Callable[[bytes], object], chance: random.Random) -> list[bytes]:
    """Changed files that still verify. Anything but a Refusal flies through and fails the test."""
    found: list[bytes] = []
    for number in range(ROUNDS):
        changed = (flip if number & 1 else bend)(content, chance)
        if changed == content:
            continue
        try:
            verify(changed)
        except Refusal:
            continue
        found.append(changed)
    return found


def test_no_bent_checkpoint_verifies(small_log: Written, trusted: Trust, chance: random.Random) -> None:
    content = small_log.checkpoint.encode()
    left = survivors(content, lambda raw: open_checkpoint(text_of(raw), trusted), chance)
    signed = [raw for raw in left if sorted(raw.split(b"\n")) != sorted(content.split(b"\n"))]
    assert signed == []  # lines of signatures may change places


def test_no_bent_proof_verifies(small_log: Written, trusted: Trust, chance: random.Random) -> None:
    index = chance.randrange(600)
    content = small_log.proof(index).encode()
    left = survivors(content, lambda raw: check(text_of(raw), small_log.leaves[index], trusted), chance)
    assert [raw for raw in left if sorted(raw.split(b"\n")) != sorted(content.split(b"\n"))] == []


def test_no_bent_leaf_verifies(small_log: Written, trusted: Trust, chance: random.Random) -> None:
    index = chance.randrange(1, 600) // 7 * 7 + 1
    text = small_log.proof(index)
    assert survivors(small_log.leaves[index], lambda raw: check(text, raw, trusted), chance) == []


def test_no_bent_path_between_two_trees_verifies(
    small_log: Written, write_log: Callable[[list[bytes]], Written], chance: random.Random
) -> None:
    size = chance.randrange(257, 600)
    new = write_log(small_log.leaves[:size]).growth
    old = write_log(small_log.leaves[:256]).growth.after.root
    path = new.inclusion(0)[8:]  # from a complete tree to a larger one, the proof is the way from its root
    check_consistency(256, old, size, new.after.root, path)

    def verify(raw: bytes) -> None:
        bent = [raw[at : at + 32] for at in range(0, len(raw), 32)]
        check_consistency(256, old, size, new.after.root, bent)

    assert survivors(b"".join(path), verify, chance) == []
