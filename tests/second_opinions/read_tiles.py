"""Checks a log with tlog-scales, which is not ours; runs in the environment of requirements.txt.

Arguments: the folder or address of the log and the verifier keys that must have signed its checkpoint. Older entries
may be gone, in whole tiles. Ends with 0 when all is well and prints which entries it has read, else with the exception
that says what is not.
"""

import sys

from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash

SAMPLES = 25
WIDTH = 256


def main() -> None:
    place, *keys = sys.argv[1:]
    reader = TilesReader(make_backend(place))
    checkpoint = reader.get_checkpoint()
    for key in keys:
        checkpoint.verify(Vkey.from_string(key))
    if reader.calculate_root_hash() != checkpoint.root_hash:
        raise SystemExit("the tiles do not make the root")
    size = checkpoint.size
    first = next(index for index in range(0, size, WIDTH) if is_there(reader, index))
    tile = {index: reader.mth(index, index + 1) for index in range(first, size)}
    if any(leaf_hash(reader.get_entry(index)) != tile[index] for index in range(first, size)):
        raise SystemExit("a leaf is not the one of its tile")
    for index in range(first, size, max(1, (size - first) // SAMPLES)):
        reader.get_inclusion_proof(index, size).check(tile[index], checkpoint.root_hash)
        old = index + 1
        reader.get_consistency_proof(old, size).check(reader.mth(0, old), checkpoint.root_hash)
    print(f"entries {first} to {size - 1}")  # noqa: T201 - the answer


def is_there(reader: TilesReader, index: int) -> bool:
    """Whether a tile has its entries or its hashes."""
    for read in (reader.get_entry, lambda one: reader.mth(one, one + 1)):
        try:
            read(index)
        except RuntimeError:
            continue
        return True
    return False


if __name__ == "__main__":
    main()
