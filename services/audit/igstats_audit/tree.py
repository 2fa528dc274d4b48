"""The Merkle tree of RFC 6962, pure: what to hash, which nodes a proof needs, how a tree grows.

A complete subtree of 2**level leaves is a node, named by its level and its place in that level; a node never changes.
Every hash that a root or a proof needs is a node, or is folded from a few of them, so storage keeps nodes only.
"""

import hashlib
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

_LEAF = hashlib.sha256(b"\x00")
_NODE = hashlib.sha256(b"\x01")


class Node(NamedTuple):
    """Place of a complete subtree: it covers the leaves from place << level, 2**level of them."""

    level: int
    place: int


class Span(NamedTuple):
    """Leaves from start up to but without end."""

    start: int
    end: int


Hashes = Mapping[Node, bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """Hashes a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """Hashes many leaves."""
    return _hashes(_LEAF, leaves)


def _hashes(begun: "hashlib._Hash", ends: Iterable[bytes]) -> list[bytes]:
    """Hashes many values that begin alike. Copying what has begun is cheaper than beginning anew."""
    found = []
    for end in ends:
        one = begun.copy()
        one.update(end)
        found.append(one.digest())
    return found


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hashes two children to their parent."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def peaks(span: Span) -> list[Node]:
    """The fewest nodes that cover a span, from left to right; its start must be aligned as RFC 6962 splits are."""
    nodes: list[Node] = []
    start = span.start
    while start < span.end:
        level = (span.end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash of the subtree whose peaks, from left to right, have these hashes."""
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Subtrees whose hashes prove that a leaf is in the tree of this size, from the leaf to the root."""
    if not 0 <= index < size:
        raise ValueError("index outside the tree")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old: int, size: int) -> list[Span]:
    """Subtrees whose hashes prove that the tree of this size extends the older one."""
    if not 0 < old <= size:
        raise ValueError("old size is zero or beyond the tree")
    spans: list[Span] = []
    start, end = 0, size
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start:
        spans.append(Span(start, end))
    return spans[::-1]


def nodes_of(spans: Iterable[Span]) -> list[Node]:
    """Every node that these subtrees are folded from, each once."""
    return list(dict.fromkeys(node for span in spans for node in peaks(span)))


def path(spans: Iterable[Span], hashes: Hashes) -> list[bytes]:
    """The proof: one hash for each subtree."""
    return [fold([hashes[node] for node in peaks(span)]) for span in spans]


def _split(count: int) -> int:
    """The largest power of two below count: where RFC 6962 cuts a tree in two."""
    return 1 << ((count - 1).bit_length() - 1)


@dataclass(frozen=True, slots=True)
class Range:
    """A whole tree as its peaks: enough to know the root and to append."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError("a tree has one peak for each bit of its size")
        if any(len(peak) != HASH_SIZE for peak in self.hashes):
            raise ValueError("a peak is a hash of 32 bytes")

    @property
    def root(self) -> bytes:
        """Root hash of the tree."""
        return fold(self.hashes)

    @property
    def nodes(self) -> dict[Node, bytes]:
        """The peaks with their places."""
        return dict(zip(peaks(Span(0, self.size)), self.hashes, strict=True))


def ends(tree: Range) -> dict[int, tuple[bytes, ...]]:
    """For each peak, by its level: how every inclusion path that leaves it goes on up to the root."""
    found: dict[int, tuple[bytes, ...]] = {}
    right: tuple[bytes, ...] = ()
    places = peaks(Span(0, tree.size))
    for at in range(len(tree.hashes) - 1, -1, -1):
        level = places[at].level
        found[level] = right + tree.hashes[:at][::-1]
        right = (node_hash(tree.hashes[at], right[0]) if right else tree.hashes[at],)
    return found


def peak_level(index: int, size: int) -> int:
    """Level of the peak that holds a leaf in the tree of this size."""
    if not 0 <= index < size:
        raise ValueError("index outside the tree")
    return (index ^ size).bit_length() - 1


class Row(NamedTuple):
    """Neighbouring nodes of one level: the place of the first, and all their hashes."""

    first: int
    hashes: Sequence[bytes]


@dataclass(frozen=True)
class Growth:
    """What appending leaves to a tree did: the tree before and after, and by level the nodes that became complete."""

    before: Range
    after: Range
    rows: Sequence[Row] = field(repr=False)

    @property
    def nodes(self) -> dict[Node, bytes]:
        """Every node that became complete."""
        return {
            Node(level, row.first + at): value
            for level, row in enumerate(self.rows)
            for at, value in enumerate(row.hashes)
        }

    def inclusion(self, index: int) -> list[bytes]:
        """Proof of an appended leaf in the tree after. Needs no storage: it names old peaks and new nodes only."""
        (found,) = self.inclusions([index])
        return list(found)

    def inclusions(self, indexes: Sequence[int]) -> list[tuple[bytes, ...]]:
        """Proofs of appended leaves in the tree after. Neighbours share all of a path but its beginning."""
        if any(index < self.before.size for index in indexes):
            raise ValueError("the leaf was there before")
        return [self._paths[index - self.before.size] for index in indexes]

    @cached_property
    def _paths(self) -> list[tuple[bytes, ...]]:
        """The paths of all appended leaves, made from the top down: a node's path is its parent's, begun."""
        old, rest, size = self.before.nodes, ends(self.after), self.after.size
        above: dict[int, tuple[bytes, ...]] = {}
        for level in range(len(self.rows) - 1, -1, -1):
            start, hashes = self.rows[level]
            here: dict[int, tuple[bytes, ...]] = {}
            for place in range(self.before.size >> level, size >> level):
                tail = above.get(place >> 1)
                if tail is None:
                    here[place] = rest[level]
                else:
                    side = place ^ 1
                    here[place] = (hashes[side - start] if side >= start else old[Node(level, side)], *tail)
            above = here
        return list(above.values())


def grow(before: Range, leaves: Sequence[bytes]) -> Growth:
    """Appends leaf hashes, level by level: one hash for each node that becomes complete."""
    old = before.nodes
    rows: list[Row] = []
    first, row, level = before.size, list(leaves), 0
    edge: list[bytes] = []
    while row or first:
        rows.append(Row(first, tuple(row)))
        if first & 1:
            first -= 1
            row.insert(0, old[Node(level, first)])
        if len(row) & 1:
            edge.append(row[-1])
        row = _hashes(_NODE, map(operator.add, row[:-1:2], row[1::2]))
        first >>= 1
        level += 1
    return Growth(before, Range(before.size + len(leaves), tuple(reversed(edge))), rows)
