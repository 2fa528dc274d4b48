"""What `igstats log audit` does: reads a whole log from outside, checks it, says what that proves."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console

from igstats_client.checkpoint import open_checkpoint, trust
from igstats_client.forms import Edge
from igstats_client.log_audit import Read, audit
from igstats_client.log_files import LogFiles
from igstats_client.screen import Screen
from igstats_client.tiles import WIDTH, TileError, tile_path


@dataclass(frozen=True)
class Checked:
    """A log that holds together: what signed it, and which of its leaves were there to be hashed."""

    origin: str
    size: int
    root: str
    keys: list[str]
    pinned: bool
    first: int
    """Index of the first leaf that was there; those before it are gone, and only the hashes above stand for them."""


def audit_log(files: LogFiles, log_keys: Sequence[str], *, as_json: bool) -> None:
    """Checks a log and says so.

    Raises:
        ValueError: A Refusal: it does not hold together, or the keys have not signed it. The text says where.
        ApiError, OSError: It could not be read.
    """
    checked = check(files, log_keys)
    if as_json:
        sys.stdout.write(rendered(checked) + "\n")
    else:
        show(checked, Screen())


def check(files: LogFiles, log_keys: Sequence[str]) -> Checked:
    """Checks every file of a log against its signed checkpoint; raises as `audit_log`."""
    keys = list(log_keys) or files.text("keys").splitlines()
    checkpoint = open_checkpoint(files.text("checkpoint"), trust(keys, needed=len(keys)))
    first = first_leaf(files.read, checkpoint.size)
    done = audit(checkpoint, files.read, first)
    return Checked(checkpoint.origin, done.size, checkpoint.root.hex(), keys, bool(log_keys), first)


def first_leaf(read: Read, size: int) -> int:
    """Index of the first leaf that the log still has: it forgets whole tiles, the oldest first.

    Raises:
        TileError: One is missing although older ones are there.
    """
    gone, there = 0, size // WIDTH
    while gone < there:
        middle = (gone + there) // 2
        if read(tile_path(None, middle)) is None:
            gone = middle + 1
        else:
            there = middle
    if gone and read(tile_path(None, 0)) is not None:
        raise TileError(Edge.TILE_MISSING, tile_path(None, gone - 1), "the log does not have it, but older ones")
    return gone * WIDTH


def rendered(found: Checked) -> str:
    """The verdict as one JSON object."""
    return json.dumps({"verified": True, **asdict(found)}, indent=2)


def show(found: Checked, console: Console) -> None:
    """Prints the verdict for people."""
    console.print(f"{found.origin}: {found.size} leaves, root {found.root}", markup=False)
    console.print(f"holds: the leaves {found.first} to {found.size - 1} make the signed root", markup=False)
    if found.first:
        console.print(f"gone: the leaves before {found.first}; the hashes above stand for them", markup=False)
    if not found.pinned:
        console.print("not proved: whose keys signed. The log named them itself; keep its file keys, for --log-key:")
        for key in found.keys:
            name, identity, _ = key.split("+", 2)
            console.print(f"  {name}+{identity}", markup=False)  # no more: a key of ML-DSA fills the screen
