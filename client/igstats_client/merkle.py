"""Inclusion and consistency in the Merkle tree of RFC 6962, from the verifier's side.

Written apart from the log's own code. A proof that is not exactly as long as size and index say is refused.
"""

from collections.abc import Sequence
from hashlib import sha256

from igstats_client.forms import HASH_SIZE, LAST_NUMBER, Edge, Refusal

_NODE = sha256(b"\x01")  # copying what has begun is cheaper than beginning anew


class ProofError(Refusal):
    """A proof cannot belong to this leaf and tree, or does not lead to its root."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hashes a leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hashes two children to their parent."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a proof leads to, from the hash of the leaf.

    Below the height at which the leaf's way meets the tree's right edge, each bit of the index says on which side the
    sibling stands; above it all siblings are left ones, one for each bit that is set.

    Raises:
        ProofError: Index outside the tree, a hash that is not 32 bytes, too few or too many hashes.
    """
    if not 0 <= index < size:
        raise ProofError(Edge.INDEX_OUTSIDE if size else Edge.SIZE_ZERO, f"entry {index} is not in a tree of {size}")
    if size > LAST_NUMBER:
        raise ProofError(Edge.NUMBER_RANGE, "no tree is that large")
    inner = (index ^ (size - 1)).bit_length()
    _check_shape(path, inner + (index >> inner).bit_count(), leaf)
    root = leaf
    for sibling in path[:inner]:
        one = _NODE.copy()
        one.update(sibling + root if index & 1 else root + sibling)
        root = one.digest()
        index >>= 1
    for sibling in path[inner:]:
        root = node_hash(sibling, root)
    return root


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Checks that a leaf, given by its hash, stands at its index in the tree with this root.

    Raises:
        ProofError: It does not, or the proof is malformed.
    """
    if root_of(leaf, index, size, path) != root:
        raise ProofError(Edge.ROOT, "the proof does not lead to the root")


def check_consistency(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Checks that the tree of this size continues the older one: every old leaf is still there, in its place.

    Raises:
        ProofError: It does not, or the proof is malformed.
    """
    if old <= 0:
        raise ProofError(Edge.SIZE_ZERO, "an empty tree proves nothing")
    if not old <= size <= LAST_NUMBER:
        raise ProofError(Edge.SIZE_SHRINKS, f"a tree of {size} does not continue one of {old}")
    _check_shape([], 0, root)
    start, length = _consistency_shape(old, size)
    _check_shape(path, length, old_root)
    if old == size:
        found = old_root, old_root
    else:
        seeded = path if start else [old_root, *path]
        found = _consistency_roots((old - 1) >> _whole(old), (size - 1) >> _whole(old), seeded)
    if found != (old_root, root):
        raise ProofError(Edge.ROOT, "the proof does not lead to both roots")


def _whole(old: int) -> int:
    """Height of the last complete subtree of the old tree: the proof starts from there."""
    return (old & -old).bit_length() - 1


def _consistency_shape(old: int, size: int) -> tuple[int, int]:
    """Whether the proof names its first hash (not when the old tree is complete), and how many hashes it has."""
    if old == size:
        return 0, 0
    named = 0 if old & (old - 1) == 0 else 1
    place, last = (old - 1) >> _whole(old), (size - 1) >> _whole(old)
    inner = (place ^ last).bit_length()
    return named, named + inner + (place >> inner).bit_count()


def _consistency_roots(place: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    inner = (place ^ last).bit_length()
    old = new = path[0]
    for sibling in path[1 : inner + 1]:
        if place & 1:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
        place >>= 1
    for sibling in path[inner + 1 :]:
        old, new = node_hash(sibling, old), node_hash(sibling, new)
    return old, new


def _check_shape(path: Sequence[bytes], length: int, *more: bytes) -> None:
    if len(path) > length:
        raise ProofError(Edge.PATH_EXTRA, "the proof has extra hashes")
    if len(path) < length:
        raise ProofError(Edge.PATH_MISSING, "the proof lacks hashes")
    for part in map(len, (*path, *more)):
        if part != HASH_SIZE:
            raise ProofError(Edge.HASH_LENGTH, f"a hash is not {HASH_SIZE} bytes")
