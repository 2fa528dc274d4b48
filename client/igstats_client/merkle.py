"""Inclusion in the Merkle tree of RFC 6962, from the verifier's side. Written apart from the log's own code."""

import hashlib
from collections.abc import Sequence

HASH_SIZE = 32


class ProofError(ValueError):
    """A proof has the wrong shape: it can belong to no leaf of a tree of this size."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hashes a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hashes two children to their parent."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a proof leads to (RFC 9162 section 2.1.3.2).

    Raises:
        ProofError: Index outside the tree, a hash that is not 32 bytes, too few or too many hashes.
    """
    if not 0 <= index < size:
        raise ProofError(f"entry {index} is not in a tree of {size}")
    if any(len(part) != HASH_SIZE for part in (leaf, *path)):
        raise ProofError(f"a hash is not {HASH_SIZE} bytes")
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofError("the proof has extra hashes")
        if place & 1 or place == last:
            root = node_hash(sibling, root)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("the proof lacks hashes")
    return root
