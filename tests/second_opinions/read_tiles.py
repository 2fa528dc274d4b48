"""Checks a log in a folder with tlog-scales, which is not ours; runs in the environment of requirements.txt.

Arguments: the folder and the verifier keys that must have signed its checkpoint. Ends with 0 when all is well, else
with the exception that says what is not.
"""

import sys
from pathlib import Path

from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash

SAMPLES = 25


def main() -> None:
    folder, *keys = sys.argv[1:]
    reader = TilesReader(LocalBackend(Path(folder)))
    checkpoint = reader.get_checkpoint()
    for key in keys:
        checkpoint.verify(Vkey.from_string(key))
    if reader.calculate_root_hash() != checkpoint.root_hash:
        raise SystemExit("the tiles do not make the root")
    size = checkpoint.size
    tile = [reader.mth(index, index + 1) for index in range(size)]
    if any(leaf_hash(reader.get_entry(index)) != tile[index] for index in range(size)):
        raise SystemExit("a leaf is not the one of its tile")
    for index in range(0, size, max(1, size // SAMPLES)):
        reader.get_inclusion_proof(index, size).check(tile[index], checkpoint.root_hash)
        old = index + 1
        reader.get_consistency_proof(old, size).check(reader.mth(0, old), checkpoint.root_hash)


if __name__ == "__main__":
    main()
