"""A log written by the server's own code, as files, for the verifier that shares no code with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit import proof_file, tile_path, tree
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_kit.testing.clock import FakeClock

ORIGIN = "igstats.test/evidence"


@dataclass(frozen=True)
class Written:
    """The files of a log, and what signed it."""

    signer: NoteSigner
    leaves: list[bytes]
    growth: tree.Growth = field(repr=False)
    files: dict[str, bytes] = field(repr=False)

    @property
    def checkpoint(self) -> str:
        return self.files["checkpoint"].decode()

    def proof(self, index: int, extra: bytes | None = None) -> str:
        return proof_file.write(index, self.growth.inclusion(index), self.checkpoint, extra)


def write(signer: NoteSigner, leaves: list[bytes]) -> Written:
    growth = tree.grow(tree.Range(), [tree.leaf_hash(leaf) for leaf in leaves])
    nodes = growth.nodes
    files = {"checkpoint": signer.cosign(Checkpoint(ORIGIN, len(leaves), growth.after.root).text).encode()}
    for tile in tile_path.tiles(len(leaves)):
        first = tile.place * tile_path.TILE_WIDTH
        height = tile_path.TILE_HEIGHT * (tile.level or 0)
        hashes = (nodes[tree.Node(height, first + at)] for at in range(tile.width))
        files[tile_path.written(tile)] = b"".join(hashes)
        if tile.level == 0:
            bundle = tile_path.bundle(leaves[first : first + tile.width])
            files[tile_path.entries_path(tile.place, tile.width)] = bundle
    return Written(signer, leaves, growth, files)


def new_signer() -> NoteSigner:
    first = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    second = MLDSA44PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return NoteSigner(ORIGIN, first, second, FakeClock(datetime(2026, 11, 23, tzinfo=UTC)))


@pytest.fixture(scope="session")
def write_log() -> Callable[[list[bytes]], Written]:
    """Writes a log of these leaves."""
    signer = new_signer()
    return lambda leaves: write(signer, leaves)


@pytest.fixture(scope="session")
def small_log(write_log: Callable[[list[bytes]], Written]) -> Written:
    """Two full tiles and a partial one; the leaves have different lengths."""
    return write_log([number.to_bytes(2, "big") * (number % 7) for number in range(600)])


@pytest.fixture(scope="session")
def large_log(write_log: Callable[[list[bytes]], Written]) -> Written:
    """Three levels of tiles, leaves of one length as ours are."""
    return write_log([number.to_bytes(93, "big") for number in range(65_536 + 300)])
