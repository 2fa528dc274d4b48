"""Writes the proof that a person keeps, pure: one text file in the form of c2sp.org/tlog-proof@v1.

It names the entry by its index, carries the path to the root and, verbatim, the signed checkpoint, so that it can be
checked offline and by tools that are not ours.
"""

import base64
from collections.abc import Sequence

from igstats_audit.tree import HASH_SIZE

HEADER = "c2sp.org/tlog-proof@v1"
LONGEST_PATH = 63


def write(index: int, path: Sequence[bytes], checkpoint: str, extra: bytes | None = None) -> str:
    """The content of a .tlog-proof file. Extra data is for the reader's convenience: nothing vouches for it."""
    if index < 0 or len(path) > LONGEST_PATH or any(len(part) != HASH_SIZE for part in path):
        raise ValueError(f"a proof has an index and at most {LONGEST_PATH} hashes of {HASH_SIZE} bytes")
    if "\n\n— " not in checkpoint or not checkpoint.endswith("\n"):
        raise ValueError("the checkpoint of a proof is a signed note")
    opening = [] if extra is None else [f"extra {_encoded(extra)}"]
    lines = [HEADER, *opening, f"index {index}", *map(_encoded, path), ""]
    return "\n".join(lines) + "\n" + checkpoint


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
