"""Files of a log as tlog-tiles lays them out, from the reader's side: paths, hashes of a tile, leaves of a bundle."""

import struct
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from igstats_client.forms import HASH_SIZE, Edge, Refusal

if TYPE_CHECKING:
    from hashlib import _Hash

WIDTH = 256
TOP_LEVEL = 63

_LEAF = sha256(b"\x00")
_NODE = sha256(b"\x01")
_CHILDREN = f"{2 * HASH_SIZE}s"


class TileError(Refusal):
    """A file of the log is missing, malformed or not what the files around it say. `path` names it."""

    def __init__(self, edge: Edge, path: str, text: str) -> None:
        super().__init__(edge, f"{path}: {text}")
        self.path = path


def tile_path(level: int | None, place: int, width: int = WIDTH) -> str:
    """Path of a tile of hashes; without a level, of the leaves themselves."""
    if place < 0 or not 1 <= width <= WIDTH or not 0 <= (level or 0) <= TOP_LEVEL:
        raise TileError(Edge.TILE_PATH, "tile", "there is no such tile")
    *groups, last = (group.zfill(3) for group in f"{place:,}".split(","))
    partial = "" if width == WIDTH else f".p/{width}"
    return (
        "/".join(["tile", "entries" if level is None else str(level), *(f"x{group}" for group in groups), last])
        + partial
    )


def hashes_of(content: bytes, width: int, path: str) -> list[bytes]:
    """Hashes of a tile.

    Raises:
        TileError: Not exactly as many hashes as it is wide.
    """
    if len(content) != width * HASH_SIZE:
        raise TileError(Edge.TILE_LENGTH, path, f"not {width} hashes of {HASH_SIZE} bytes")
    return [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]


def leaf_hashes_of(content: bytes, width: int, path: str) -> list[bytes]:
    """Hashes of the leaves of a bundle.

    Raises:
        TileError: Not exactly as many leaves as it is wide, or it ends inside one.
    """
    size = int.from_bytes(content[:2], "big")
    stride = size + 2
    if len(content) == stride * width and _even(content, stride, width):
        return _hashes(_LEAF, struct.iter_unpack(f"2x{size}s", content))
    return _hashes(_LEAF, zip(leaves_of(content, width, path), strict=True))


def leaves_of(content: bytes, width: int, path: str) -> list[bytes]:
    """Leaves of a bundle.

    Raises:
        TileError: Not exactly as many leaves as it is wide, or it ends inside one.
    """
    leaves: list[bytes] = []
    at = 0
    while at < len(content):
        start = at + 2
        at = start + int.from_bytes(content[at:start], "big")
        if start > len(content) or at > len(content):
            raise TileError(Edge.BUNDLE, path, "the bundle ends inside a leaf")
        leaves.append(content[start:at])
    if len(leaves) != width:
        raise TileError(Edge.BUNDLE, path, f"{len(leaves)} leaves, not {width}")
    return leaves


def fold(row: list[bytes]) -> bytes:
    """Hash of the complete subtree above a row of hashes: 256 of them, or another power of two."""
    while len(row) > 1:
        row = _hashes(_NODE, struct.iter_unpack(_CHILDREN, b"".join(row)))
    return row[0]


def _hashes(begun: "_Hash", ends: Iterable[tuple[bytes]]) -> list[bytes]:
    """Hashes many values that begin alike. Copying what has begun is cheaper than beginning anew."""
    found = []
    for (end,) in ends:
        one = begun.copy()
        one.update(end)
        found.append(one.digest())
    return found


def _even(content: bytes, stride: int, width: int) -> bool:
    """Whether every leaf of the bundle is as long as the first."""
    return content[::stride] == content[:1] * width and content[1::stride] == content[1:2] * width
