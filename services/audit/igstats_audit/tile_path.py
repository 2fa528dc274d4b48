"""Paths of the files of a log as C2SP tlog-tiles names them, pure: written and read strictly.

`checkpoint` is the newest signed note, `tile/<level>/<place>` holds 256 hashes of one level, `tile/entries/<place>` the
leaves below a tile of level 0, each after its length in two bytes. A file at the right edge that is not full yet has
`.p/<width>` at its end and is another file than the full one. A place is written in groups of three digits, all but the
last with an x before: 1234067 is x001/x234/067.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

CHECKPOINT = "checkpoint"
KEYS = "keys"
"""Not of tlog-tiles: the verifier keys of the log, a line each, Ed25519 first."""
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TOP_LEVEL = 63
LONGEST_LEAF = (1 << 16) - 1

_GROUP = 1000
_LAST_PLACE = (1 << 63) - 1
_LENGTH_SIZE = 2
_FORM = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<place>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class TilePathError(ValueError):
    """The path or the bundle is not in the one form that tlog-tiles allows."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A file of a log: hashes of a level, or, without a level, the leaves themselves. Full when its width is 256."""

    level: int | None
    place: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= TOP_LEVEL:
            raise TilePathError(f"a level is 0 to {TOP_LEVEL}")
        if not (0 <= self.place <= _LAST_PLACE and 1 <= self.width <= TILE_WIDTH):
            raise TilePathError(f"a place is not negative and a width is 1 to {TILE_WIDTH}")

    @property
    def full(self) -> bool:
        """Whether the file can never grow."""
        return self.width == TILE_WIDTH

    @property
    def end(self) -> int:
        """Index of the first leaf that the full file does not cover: below the minimum index it may be gone."""
        return (self.place + 1) << (TILE_HEIGHT * ((self.level or 0) + 1))


def path(level: int, place: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile of hashes."""
    return written(Tile(level, place, width))


def entries_path(place: int, width: int = TILE_WIDTH) -> str:
    """Path of a bundle of leaves."""
    return written(Tile(None, place, width))


def written(tile: Tile) -> str:
    """Path of a file."""
    groups = [f"{tile.place % _GROUP:03d}"]
    rest = tile.place // _GROUP
    while rest:
        groups.append(f"x{rest % _GROUP:03d}")
        rest //= _GROUP
    level = "entries" if tile.level is None else str(tile.level)
    partial = "" if tile.full else f".p/{tile.width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


def parse(text: str) -> Tile | None:
    """Reads a path; None is the checkpoint.

    Raises:
        TilePathError: Not the one path that the named file has.
    """
    if text == CHECKPOINT:
        return None
    form = _FORM.fullmatch(text)
    if form is None:
        raise TilePathError("neither checkpoint nor tile")
    level = None if form["level"] == "entries" else int(form["level"])
    place = int(form["place"].replace("/", "").replace("x", ""))
    tile = Tile(level, place, int(form["width"] or TILE_WIDTH))
    if written(tile) != text:
        raise TilePathError("not the shortest path of its tile")
    return tile


def tiles(size: int) -> list[Tile]:
    """Every tile of hashes of a tree of this size, level by level, from left to right."""
    found: list[Tile] = []
    level, width = 0, size
    while width:
        full, partial = divmod(width, TILE_WIDTH)
        found += [Tile(level, place) for place in range(full)]
        if partial:
            found.append(Tile(level, full, partial))
        level, width = level + 1, full
    return found


def bundle(leaves: Sequence[bytes]) -> bytes:
    """Content of a file of leaves."""
    if not 1 <= len(leaves) <= TILE_WIDTH or any(len(leaf) > LONGEST_LEAF for leaf in leaves):
        raise TilePathError(f"a bundle has 1 to {TILE_WIDTH} leaves of at most {LONGEST_LEAF} bytes")
    return b"".join(len(leaf).to_bytes(_LENGTH_SIZE, "big") + leaf for leaf in leaves)


def leaves_of(content: bytes) -> list[bytes]:
    """Leaves of a file; raises TilePathError when it ends inside one."""
    leaves: list[bytes] = []
    at = 0
    while at < len(content):
        start = at + _LENGTH_SIZE
        at = start + int.from_bytes(content[at:start], "big")
        if start > len(content) or at > len(content):
            raise TilePathError("the bundle ends inside a leaf")
        leaves.append(content[start:at])
    if not 1 <= len(leaves) <= TILE_WIDTH:
        raise TilePathError(f"a bundle has 1 to {TILE_WIDTH} leaves")
    return leaves
