"""Verifiers that are not ours accept our checkpoints, proofs and tiles, and refuse them with a byte flipped.

The files are those that the service serves: a log of three levels of tiles that grew in several commits, before and
after a cut, and once more by HTTP through the gateway (tests/integration/gateway/test_readers_of_the_log.py).

The verifiers live in an environment of their own, made once for each user and requirements file. When it cannot be
made, these tests fail: a log that only its owner can check is not what we promise.
"""

import base64
import json
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from igstats_audit import tile_path, tree
from igstats_audit.note import NoteSigner
from igstats_audit.tables import CALL_DAYS
from igstats_client.forms import Refusal
from igstats_client.merkle import check_consistency, check_inclusion
from igstats_kit.errors import DomainError
from igstats_kit.sql import Database
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.databases import Databases

from tests.integration.audit.conftest import MOMENT, World, pem
from tests.integration.audit.served_log import Log, grow, served_log
from tests.second_opinions.environment import HERE, programs

ORIGIN = "igstats.test/access"
OLD, SIZE, SIZE_AFTER = 45_000, 66_000, 66_500
LEAF = 1234
PLACES = (0, LEAF, 65_535, SIZE - 1)
PLACES_AFTER = (OLD, OLD + 56, 65_535, SIZE_AFTER - 1)

pytestmark = [pytest.mark.timeout(500), pytest.mark.xdist_group("second-opinions")]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the programs that give second opinions."""
    return programs()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Log, Log]]:
    """A log of three levels of tiles, written in several commits on two days, and what is left when one is cut."""
    url = await databases.fresh("audit")
    database = Database(url)
    world = World(database, tmp_path_factory.mktemp("log"))
    async with world.writing():
        await grow(world, 0, OLD)
        world.clock.advance(timedelta(days=1))
        await grow(world, OLD, SIZE)
        whole = await served_log(world.logs, 0, PLACES)
        await world.logs.cut.run(MOMENT.date() + timedelta(days=CALL_DAYS))
        await world.logs.cut.tidy()
        await grow(world, SIZE, SIZE_AFTER)
        with pytest.raises(DomainError) as gone:
            await world.access.files.file("tile/entries/000")
        assert gone.value.metadata["minimum_index"] == str(OLD)
        pruned = await served_log(world.open("another"), OLD, PLACES_AFTER)
    yield whole, pruned
    await database.close()
    await databases.drop(url)


@pytest.fixture(scope="module")
def log(both: tuple[Log, Log]) -> Log:
    """The log before the cut."""
    return both[0]


@pytest.fixture(scope="module")
def pruned(both: tuple[Log, Log]) -> Log:
    """The log after the cut."""
    return both[1]


@pytest.fixture(scope="module")
def witness() -> NoteSigner:
    """Cosigns what it is shown."""
    keys = pem(Ed25519PrivateKey.generate()), pem(MLDSA44PrivateKey.generate())
    return NoteSigner("witness.test/w1", *keys, FakeClock(MOMENT))


def run(*command: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    parts = [str(part) for part in command]
    return subprocess.run(parts, input=given, capture_output=True, text=True, check=False, timeout=120)


def flipped(text: str, at: int) -> str:
    """The text with the letter or digit at or after this place changed."""
    while not text[at].isalnum():
        at += 1
    return text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1 :]


def prove(tools: Path, folder: Path, log: Log, text: str, leaf: bytes, *more: str) -> int:
    (folder / "one.tlog-proof").write_text(text, encoding="utf-8")
    (folder / "leaf").write_bytes(leaf)
    keys = ("--log-vkey", log.signer.verifier_key, "--expected-origin", ORIGIN)
    paths = ("--payload-file", folder / "leaf", folder / "one.tlog-proof")
    return run(tools / "proofbundle", "verify-proof", *keys, *more, *paths).returncode


@pytest.mark.parametrize("index", PLACES)
def test_proofbundle_accepts_our_proofs(tools: Path, log: Log, tmp_path: Path, index: int) -> None:
    assert prove(tools, tmp_path, log, log.proofs[index], log.leaves[index]) == 0


@pytest.mark.parametrize("index", PLACES_AFTER)
def test_proofbundle_accepts_our_proofs_after_a_cut(tools: Path, pruned: Log, tmp_path: Path, index: int) -> None:
    assert prove(tools, tmp_path, pruned, pruned.proofs[index], pruned.leaves[index]) == 0


def test_proofbundle_refuses_a_proof_with_a_flipped_byte(tools: Path, log: Log, tmp_path: Path) -> None:
    text, leaf = log.proof(LEAF, log.note), log.leaves[LEAF]
    assert prove(tools, tmp_path, log, text, leaf) == 0
    for place in ("index ", "\n\n", f"{ORIGIN}\n", f"{SIZE}\n", f"— {ORIGIN} "):
        assert prove(tools, tmp_path, log, flipped(text, text.index(place) + len(place) + 12), leaf) != 0
    assert prove(tools, tmp_path, log, text, log.leaves[0]) != 0


def test_proofbundle_counts_our_ml_dsa_cosignature(tools: Path, log: Log, witness: NoteSigner, tmp_path: Path) -> None:
    cosignature = witness.cosign(log.text).rstrip("\n").rsplit("\n", 1)[1] + "\n"
    text, alone = log.proof(LEAF, log.note + cosignature), log.proof(LEAF, log.note)
    quorum = ("--witness-vkey", witness.verifier_keys[1], "--threshold", "1")
    assert prove(tools, tmp_path, log, text, log.leaves[LEAF], *quorum) == 0
    assert prove(tools, tmp_path, log, flipped(text, len(text) - 100), log.leaves[LEAF], *quorum) != 0
    assert prove(tools, tmp_path, log, alone, log.leaves[LEAF], *quorum) != 0


def read_tiles(tools: Path, folder: Path, log: Log) -> str:
    """What the reader says of the files in a folder; nothing when it refuses them."""
    done = run(tools / "python", "-I", HERE / "read_tiles.py", folder, *log.signer.verifier_keys)
    return done.stdout if done.returncode == 0 else ""


def test_a_tile_reader_checks_our_files(tools: Path, log: Log, tmp_path: Path) -> None:
    assert read_tiles(tools, log.write(tmp_path), log) == f"entries 0 to {SIZE - 1}\n"


def test_a_tile_reader_checks_what_lives_after_a_cut_and_says_what_is_gone(
    tools: Path, pruned: Log, tmp_path: Path
) -> None:
    """Whole tiles go: of the one in which the cut lies, the older entries' commitments stay."""
    first = OLD // tile_path.TILE_WIDTH * tile_path.TILE_WIDTH
    assert read_tiles(tools, pruned.write(tmp_path), pruned) == f"entries {first} to {SIZE_AFTER - 1}\n"
    gone = run(tools / "tlog-tiles", "get-leaf", "--check", tmp_path, str(first - 1))
    assert gone.returncode != 0
    assert "could not get tile" in gone.stderr


def test_a_tile_reader_refuses_a_hole_in_what_lives(tools: Path, pruned: Log, tmp_path: Path) -> None:
    (pruned.write(tmp_path) / "tile/0/200").unlink()
    assert read_tiles(tools, tmp_path, pruned) == ""


def refused(tools: Path, log: Log, folder: Path, name: str, at: int = -20) -> bool:
    """Whether the reader refuses a file with one bit flipped."""
    file = log.write(folder) / name
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    return read_tiles(tools, folder, log) == ""


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint",
        "tile/0/007",
        "tile/0/257.p/208",
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/entries/009",
        "tile/entries/257.p/208",
    ],
)
def test_a_tile_reader_refuses_our_files_with_a_flipped_byte(tools: Path, log: Log, tmp_path: Path, name: str) -> None:
    assert refused(tools, log, tmp_path, name)


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint",
        "tile/0/175",
        "tile/0/259.p/196",
        "tile/1/000",
        "tile/1/001.p/3",
        "tile/2/000.p/1",
        "tile/entries/175",
        "tile/entries/259.p/196",
    ],
)
def test_a_tile_reader_refuses_a_flipped_byte_after_a_cut(tools: Path, pruned: Log, tmp_path: Path, name: str) -> None:
    assert refused(tools, pruned, tmp_path, name)


def test_a_tile_reader_refuses_a_flipped_byte_in_the_hash_of_what_is_gone(
    tools: Path, pruned: Log, tmp_path: Path
) -> None:
    assert refused(tools, pruned, tmp_path, "tile/1/000", 0)


def test_a_tile_reader_makes_the_proofs_that_we_write(tools: Path, log: Log, pruned: Log, tmp_path: Path) -> None:
    for one, name in ((log, "whole"), (pruned, "pruned")):
        folder = one.write(tmp_path / name)
        for index, proof in one.proofs.items():
            assert run(tools / "tlog-tiles", "gen-proof", folder, str(index)).stdout == proof


def judge(tools: Path, questions: list[tuple[str, list[Any]]]) -> list[bool]:
    done = run(tools / "python", "-I", HERE / "judge_proofs.py", given=json.dumps(questions))
    assert done.returncode == 0, done.stderr
    answers: list[bool] = json.loads(done.stdout)
    return answers


def test_another_verifier_accepts_our_checkpoints_and_passes_over_the_second_signature(tools: Path, log: Log) -> None:
    places = (0, len(ORIGIN) + 1, 40, log.checkpoint.index("— ") + len(ORIGIN) + 20)
    asked = [log.checkpoint, log.note, *(flipped(log.checkpoint, at) for at in places)]
    answers = judge(tools, [("checkpoint", [note, [log.signer.verifier_key]]) for note in asked])
    assert answers == [True, True, False, False, False, False]


def verdict(question: tuple[str, list[Any]]) -> bool:
    kind, arguments = question
    first, second, *rest = arguments
    hashes = [[bytes.fromhex(part) for part in ([one] if isinstance(one, str) else one)] for one in rest]
    try:
        if kind == "inclusion":
            (leaf,), path, (root,) = hashes
            check_inclusion(leaf, first, second, path, root)
        else:
            path, (old_root,), (root,) = hashes
            check_consistency(first, old_root, second, root, path)
    except Refusal:
        return False
    return True


def of_nothing(question: tuple[str, list[Any]]) -> bool:
    """Whether the old or only tree is empty: we refuse that, others take it for the beginning of every tree."""
    kind, (first, second, *_) = question
    size: int = first if kind == "consistency" else second
    return size == 0


def questions(chance: random.Random) -> Iterator[tuple[str, list[Any]]]:
    """True proofs of small trees, and what becomes of them when one part changes."""
    for _ in range(300):
        size = chance.randint(1, 70)
        leaves = [tree.leaf_hash(bytes([number])) for number in range(size)]
        growth, index = tree.grow(tree.Range(), leaves), chance.randrange(size)
        root, old = growth.after.root.hex(), index + 1
        way = [part.hex() for part in growth.inclusion(index)]
        yield "inclusion", bent([index, size, leaves[index].hex(), way, root], chance)
        nodes = tree.nodes_of(tree.consistency_spans(old, size))
        hashes = {node: growth.nodes[node] for node in nodes}
        path = [part.hex() for part in tree.path(tree.consistency_spans(old, size), hashes)]
        old_root = tree.grow(tree.Range(), leaves[:old]).after.root.hex()
        yield "consistency", bent([old, size, path, old_root, root], chance)


def bent(arguments: list[Any], chance: random.Random) -> list[Any]:
    kind, at = chance.randrange(6), chance.randrange(len(arguments))
    path = next(one for one in arguments if isinstance(one, list))
    if kind == 1 and path:
        path.pop(chance.randrange(len(path)))
    elif kind == 2:
        path.insert(chance.randrange(len(path) + 1), "00" * 32)
    elif kind == 3 and isinstance(arguments[at], int):
        arguments[at] += chance.choice([-1, 1])
    elif kind == 4 and isinstance(arguments[at], str):
        arguments[at] = "00" + arguments[at][2:]
    elif kind == 5 and path:
        path.reverse()
    return [abs(one) if isinstance(one, int) else one for one in arguments]


def test_our_verdict_on_proofs_is_that_of_another_verifier(tools: Path) -> None:
    asked = list(questions(random.Random(20261123)))  # noqa: S311 - the same questions every time
    ours = [verdict(question) for question in asked]
    theirs = judge(tools, asked)
    pairs = zip(asked, ours, theirs, strict=True)
    assert [question for question, one, other in pairs if one != other and not of_nothing(question)] == []
    assert 100 < sum(ours) < len(asked) - 100


def test_openssl_alone_verifies_the_checkpoint(log: Log, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl is needed to check without any Python at all"
    text, _, block = log.checkpoint.partition("\n\n")
    raw = base64.b64decode(log.signer.verifier_key.split("+", 2)[2])[1:]
    (tmp_path / "log.pem").write_bytes(spki(raw))
    (tmp_path / "good").write_text(f"{text}\n", encoding="utf-8")
    (tmp_path / "bad").write_text(f"{flipped(text, 30)}\n", encoding="utf-8")
    (tmp_path / "signature").write_bytes(base64.b64decode(block.split("\n")[0].rsplit(" ", 1)[1])[4:])
    files = ("-inkey", tmp_path / "log.pem", "-sigfile", tmp_path / "signature", "-in")
    command = (openssl, "pkeyutl", "-verify", "-rawin", "-pubin", *files)
    assert run(*command, tmp_path / "good").returncode == 0
    assert run(*command, tmp_path / "bad").returncode != 0


def spki(raw: bytes) -> bytes:
    key = Ed25519PublicKey.from_public_bytes(raw)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
