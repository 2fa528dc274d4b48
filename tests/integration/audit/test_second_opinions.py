"""Verifiers that are not ours accept our checkpoints, proofs and tiles, and refuse them with a byte flipped.

The tiles are laid out here from our tree, by our names: what the service serves is not read by them.

They live in an environment of their own, made once for each user and requirements file. When it cannot be made, these
tests fail: a log that only its owner can check is not what we promise.
"""

import base64
import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from igstats_audit import proof_file, tile_path, tree
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_client.forms import Refusal
from igstats_client.merkle import check_consistency, check_inclusion
from igstats_kit.testing.clock import FakeClock

from tests.second_opinions.environment import HERE, programs

ORIGIN = "igstats.test/evidence"
SIZE = 66_000
LEAF = 1234

pytestmark = [pytest.mark.timeout(500), pytest.mark.xdist_group("second-opinions")]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the programs that give second opinions."""
    return programs()


@dataclass(frozen=True)
class Log:
    signer: NoteSigner
    witness: NoteSigner
    leaves: Sequence[bytes]
    growth: tree.Growth
    files: dict[str, bytes]

    @property
    def text(self) -> str:
        return Checkpoint(ORIGIN, len(self.leaves), self.growth.after.root).text

    @property
    def checkpoint(self) -> str:
        return self.files["checkpoint"].decode()

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def proof(self, index: int, checkpoint: str = "") -> str:
        return proof_file.write(index, self.growth.inclusion(index), checkpoint or self.checkpoint)


def signer(name: str) -> NoteSigner:
    first = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    second = MLDSA44PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return NoteSigner(name, first, second, FakeClock(datetime(2026, 11, 23, tzinfo=UTC)))


@pytest.fixture(scope="module")
def log() -> Log:
    """A log of three levels of tiles."""
    leaves = [number.to_bytes(93, "big") for number in range(SIZE)]
    growth = tree.grow(tree.Range(), [tree.leaf_hash(leaf) for leaf in leaves])
    made = Log(signer(ORIGIN), signer("witness.test/w1"), leaves, growth, {})
    made.files["checkpoint"] = made.signer.cosign(made.text).encode()
    nodes = growth.nodes
    for tile in tile_path.tiles(SIZE):
        first, height = tile.place * tile_path.TILE_WIDTH, tile_path.TILE_HEIGHT * (tile.level or 0)
        hashes = (nodes[tree.Node(height, first + at)] for at in range(tile.width))
        made.files[tile_path.written(tile)] = b"".join(hashes)
        if tile.level == 0:
            bundle = tile_path.bundle(leaves[first : first + tile.width])
            made.files[tile_path.entries_path(tile.place, tile.width)] = bundle
    return made


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


@pytest.mark.parametrize("index", [0, LEAF, 65_535, SIZE - 1])
def test_proofbundle_accepts_our_proofs(tools: Path, log: Log, tmp_path: Path, index: int) -> None:
    assert prove(tools, tmp_path, log, log.proof(index), log.leaves[index]) == 0


def test_proofbundle_refuses_a_proof_with_a_flipped_byte(tools: Path, log: Log, tmp_path: Path) -> None:
    text = log.proof(LEAF, log.signer.sign(log.text))
    for place in ("index ", "\n\n", f"{ORIGIN}\n", f"{SIZE}\n", f"— {ORIGIN} "):
        assert prove(tools, tmp_path, log, flipped(text, text.index(place) + len(place) + 12), log.leaves[LEAF]) != 0
    assert prove(tools, tmp_path, log, text, log.leaves[LEAF + 1]) != 0


def test_proofbundle_counts_our_ml_dsa_cosignature(tools: Path, log: Log, tmp_path: Path) -> None:
    cosignature = log.witness.cosign(log.text).rstrip("\n").rsplit("\n", 1)[1] + "\n"
    text = log.proof(LEAF, log.signer.sign(log.text) + cosignature)
    quorum = ("--witness-vkey", log.witness.verifier_keys[1], "--threshold", "1")
    assert prove(tools, tmp_path, log, text, log.leaves[LEAF], *quorum) == 0
    assert prove(tools, tmp_path, log, flipped(text, len(text) - 100), log.leaves[LEAF], *quorum) != 0
    alone = log.proof(LEAF, log.signer.sign(log.text))
    assert prove(tools, tmp_path, log, alone, log.leaves[LEAF], *quorum) != 0


def read_tiles(tools: Path, folder: Path, log: Log) -> int:
    return run(tools / "python", "-I", HERE / "read_tiles.py", folder, *log.signer.verifier_keys).returncode


def test_a_tile_reader_checks_our_files(tools: Path, log: Log, tmp_path: Path) -> None:
    assert read_tiles(tools, log.write(tmp_path), log) == 0


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint",
        "tile/0/007",
        "tile/0/257.p/208",
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/entries/9",
    ],
)
def test_a_tile_reader_refuses_our_files_with_a_flipped_byte(tools: Path, log: Log, tmp_path: Path, name: str) -> None:
    file = log.write(tmp_path) / name.replace("/9", "/009")
    content = bytearray(file.read_bytes())
    content[len(content) - 20] ^= 1
    file.write_bytes(content)
    assert read_tiles(tools, tmp_path, log) != 0


def test_a_tile_reader_makes_the_proofs_that_we_write(tools: Path, log: Log, tmp_path: Path) -> None:
    log.write(tmp_path)
    for index in (0, LEAF, SIZE - 1):
        made = run(tools / "tlog-tiles", "gen-proof", tmp_path, str(index))
        assert made.stdout == log.proof(index)


def judge(tools: Path, questions: list[tuple[str, list[Any]]]) -> list[bool]:
    done = run(tools / "python", "-I", HERE / "judge_proofs.py", given=json.dumps(questions))
    assert done.returncode == 0, done.stderr
    answers: list[bool] = json.loads(done.stdout)
    return answers


def test_another_verifier_accepts_our_checkpoints_and_passes_over_the_second_signature(tools: Path, log: Log) -> None:
    places = (0, len(ORIGIN) + 1, 40, log.checkpoint.index("— ") + len(ORIGIN) + 20)
    asked = [log.checkpoint, log.signer.sign(log.text), *(flipped(log.checkpoint, at) for at in places)]
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
