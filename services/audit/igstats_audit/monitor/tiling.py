"""Rules for tiles, pure: what must be true of the hashes of a tile, and what they say when one of them is wrong.

A claim is the hash of a run of neighbouring hashes that is known from above: from the tile over it, or, at the right
edge of the tree, from a peak of the signed tree. What satisfies all of its claims is as good as signed.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from igstats_audit.tile_path import TILE_HEIGHT, TILE_WIDTH, path
from igstats_audit.tree import HASH_SIZE, Node, Range, Span, fold, peaks

_MOST_DOUBTS = 6

Hashes = Sequence[bytes | None]
"""Hashes of a tile; None where one is missing."""


class Claim(NamedTuple):
    """What the hashes from start up to but without end fold to."""

    start: int
    end: int
    value: bytes


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """Hashes leaves."""
    return [sha256(b"\x00" + leaf).digest() for leaf in leaves]


def row_root(row: Sequence[bytes]) -> bytes:
    """Hash of the complete subtree over a row of hashes, as many as a power of two."""
    while len(row) > 1:
        children = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(children, children, strict=True)]
    return row[0]


def split(content: bytes, width: int) -> list[bytes | None]:
    """The first hashes of a tile; None for those that it does not reach."""
    found: list[bytes | None] = [content[at : at + HASH_SIZE] for at in range(0, width * HASH_SIZE, HASH_SIZE)]
    return [one if one is not None and len(one) == HASH_SIZE else None for one in found]


def holds(hashes: Hashes, claims: Sequence[Claim]) -> bool:
    """Whether all claims on these hashes are true. None about hashes that are missing is."""
    return all(claim_holds(hashes, claim) for claim in claims)


def claim_holds(hashes: Hashes, claim: Claim) -> bool:
    """Whether a claim is true."""
    row = [one for one in hashes[claim.start : claim.end] if one is not None]
    return len(row) == claim.end - claim.start and row_root(row) == claim.value


def resolve(stored: Hashes, computed: Hashes, claims: Sequence[Claim]) -> list[bytes | None] | None:
    """The mixture of what is stored and what the level below says that makes the claims true, if there is one."""
    doubts = [at for at, one in enumerate(stored) if one != computed[at]]
    if len(doubts) > _MOST_DOUBTS:
        return list(computed) if holds(computed, claims) else None
    for choice in itertools.product((computed, stored), repeat=len(doubts)):
        mixed = list(stored)
        for at, chosen in zip(doubts, choice, strict=True):
            mixed[at] = chosen[at]
        if holds(mixed, claims):
            return mixed
    return None


def swapped(hashes: Hashes, failing: Sequence[Claim]) -> tuple[int, int] | None:
    """The pair of hashes whose exchange makes the one or two claims true that are not."""
    towers = [_Tower(claim, hashes) for claim in failing]
    if not 1 <= len(towers) <= 2 or not all(tower.complete for tower in towers):  # noqa: PLR2004 - a pair
        return None
    first, last = towers[0], towers[-1]
    inside = first is last
    places = itertools.combinations(first.places, 2) if inside else itertools.product(first.places, last.places)
    for one, other in places:
        exchange = {one: hashes[other] or b"", other: hashes[one] or b""}
        if all(tower.true_with(exchange) for tower in towers):
            return one, other
    return None


class _Tower:
    """All hashes under a claim, so that a few can be tried without folding the others again."""

    def __init__(self, claim: Claim, hashes: Hashes) -> None:
        row = [one for one in hashes[claim.start : claim.end] if one is not None]
        self.places = range(claim.start, claim.end)
        self.complete = len(row) == len(self.places)
        self._claim = claim
        self._levels = [row]
        while self.complete and len(self._levels[-1]) > 1:
            below = iter(self._levels[-1])
            self._levels.append([_parent(left, right) for left, right in zip(below, below, strict=True)])

    def true_with(self, changes: Mapping[int, bytes]) -> bool:
        """Whether the claim is true when some hashes are replaced."""
        changed = {at - self._claim.start: value for at, value in changes.items() if at in self.places}
        for level in self._levels[:-1]:
            parents: dict[int, bytes] = {}
            for place in {at >> 1 for at in changed}:
                left, right = 2 * place, 2 * place + 1
                parents[place] = _parent(changed.get(left, level[left]), changed.get(right, level[right]))
            changed = parents
        return changed[0] == self._claim.value


def _parent(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Known:
    """The hashes of a tree that its signed root vouches for, tile by tile, grown from the top down."""

    tree: Range
    tiles: dict[tuple[int, int], list[bytes | None]] = field(default_factory=dict)

    @property
    def top(self) -> int:
        """The highest level that has tiles."""
        return max(0, (self.tree.size.bit_length() - 1) // TILE_HEIGHT)

    def width(self, level: int, place: int) -> int:
        """How many hashes a tile has."""
        return min(TILE_WIDTH, max(0, (self.tree.size >> (TILE_HEIGHT * level)) - place * TILE_WIDTH))

    def places(self, level: int, start: int) -> range:
        """The tiles of a level that cover the leaves from start on."""
        count = self.tree.size >> (TILE_HEIGHT * level)
        return range(start >> (TILE_HEIGHT * (level + 1)), -(-count // TILE_WIDTH))

    def claims(self, level: int, place: int) -> list[Claim] | None:
        """What must be true of a tile; None when nothing is known, because the tile over it is lost."""
        if self.width(level, place) == TILE_WIDTH:
            value = self.hash(level + 1, place)
            return None if value is None else [Claim(0, TILE_WIDTH, value)]
        found: list[Claim] = []
        for node, value in self.tree.nodes.items():
            if TILE_HEIGHT * level <= node.level < TILE_HEIGHT * (level + 1):
                span = 1 << (node.level - TILE_HEIGHT * level)
                start = node.place * span - place * TILE_WIDTH
                found.append(Claim(start, start + span, value))
        return found

    def hash(self, level: int, place: int) -> bytes | None:
        """One hash of a level, if it is known."""
        tile = self.tiles.get((level, place // TILE_WIDTH))
        return tile[place % TILE_WIDTH] if tile is not None else None

    def node(self, node: Node) -> bytes | None:
        """A node of any height, folded from the tile that holds its parts."""
        level = node.level // TILE_HEIGHT
        span = 1 << (node.level % TILE_HEIGHT)
        row = [self.hash(level, node.place * span + at) for at in range(span)]
        known = [one for one in row if one is not None]
        return row_root(known) if len(known) == span else None

    def root(self, size: int) -> bytes | None:
        """Root that the tree had at an earlier size; None when what is known does not reach."""
        found = [self.node(node) for node in peaks(Span(0, size))]
        known = [one for one in found if one is not None]
        return fold(known) if len(known) == len(found) else None


def place_of(level: int, place: int) -> str:
    """Name of a tile, the same however far it has grown."""
    return path(level, place)
