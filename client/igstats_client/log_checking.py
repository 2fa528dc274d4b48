"""What `igstats log audit` does: reads a whole log from outside, checks it, says what that proves."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console

from igstats_client.checkpoint import open_checkpoint, trust
from igstats_client.entries import read_leaf
from igstats_client.forms import Edge
from igstats_client.log_audit import Read, audit
from igstats_client.log_files import LogFiles
from igstats_client.merkle import ProofError
from igstats_client.screen import Screen
from igstats_client.tiles import WIDTH, TileError, tile_path

_FINENESS = 256
_MISSING = "the log does not have it, nor has it been cut: there is the older"


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
    gone_files: int = 0
    """How many files of leaves are gone."""
    gone_files_asked: int = 0
    """Of those, how many were asked for: the log had none of them."""
    oldest_time: str = ""
    """When the log took the first leaf that was there; empty where the leaf does not say."""


@dataclass(frozen=True)
class Cut:
    """Where the leaves of a log begin: its older files are gone, and so many of them were asked for."""

    files: int
    asked: int

    @property
    def first(self) -> int:
        """Index of the first leaf that is there."""
        return self.files * WIDTH


def audit_log(files: LogFiles, log_keys: Sequence[str], start: int | None, *, as_json: bool) -> None:
    """Checks a log and says so; from the leaf `start` on it must have all.

    Raises:
        ValueError: A Refusal: it does not hold together, or the keys have not signed it. The text says where.
        ApiError, OSError: It could not be read.
    """
    checked = check(files, log_keys, start)
    if as_json:
        sys.stdout.write(rendered(checked) + "\n")
    else:
        show(checked, Screen())


def check(files: LogFiles, log_keys: Sequence[str], start: int | None = None) -> Checked:
    """Checks every file of a log against its signed checkpoint; raises as `audit_log`."""
    keys = list(log_keys) or files.text("keys").splitlines()
    checkpoint = open_checkpoint(files.text("checkpoint"), trust(keys, needed=len(keys)))
    cut = find_cut(files.read, checkpoint.size)
    _require_leaves(cut, checkpoint.size, start)
    done = audit(checkpoint, files.read, cut.first)
    named = (checkpoint.origin, done.size, checkpoint.root.hex(), keys, bool(log_keys))
    return Checked(*named, cut.first, cut.files, cut.asked, _time_of(done.oldest))


def find_cut(read: Read, size: int) -> Cut:
    """Where the leaves of a log begin: it forgets whole files, the oldest first.

    Whether older ones are there all the same is asked of the 512 before and of ever fewer further back, some thousands
    in a log of a billion leaves: files that are missing in the midst are found where the older ones that are there are
    more than a 256th of the way back to them.

    Raises:
        TileError: One is missing although an older one is there.
    """
    gone, there = 0, size // WIDTH
    while gone < there:
        middle = (gone + there) // 2
        if read(tile_path(None, middle)) is None:
            gone = middle + 1
        else:
            there = middle
    places = _asked_below(gone)
    for place in places:
        if read(older := tile_path(None, place)) is not None:
            raise TileError(Edge.TILE_MISSING, tile_path(None, gone - 1), f"{_MISSING} {older}")
    return Cut(gone, len(places))


def _asked_below(gone: int) -> list[int]:
    """The oldest file, the newest that are gone, and between them the fewer, the further back."""
    places = [0] if gone else []
    distance = 1
    while distance < gone:
        places.append(gone - distance)
        distance += max(1, distance // _FINENESS)
    return places


def _require_leaves(cut: Cut, size: int, start: int | None) -> None:
    if cut.first >= size:
        raise TileError(Edge.TILE_MISSING, tile_path(None, max(cut.files - 1, 0)), "the log has no leaf at all")
    if start is not None and start >= size:
        raise ProofError(Edge.INDEX_OUTSIDE, f"the log has {size} leaves, none of index {start}")
    if start is not None and start < cut.first:
        text = f"the log does not have leaf {start}, nor any before {cut.first}"
        raise TileError(Edge.TILE_MISSING, tile_path(None, start // WIDTH), text)


def _time_of(leaf: bytes) -> str:
    try:
        return f"{read_leaf(leaf).minute:%Y-%m-%dT%H:%MZ}"
    except ValueError:
        return ""  # a log of others has leaves of its own form


def rendered(found: Checked) -> str:
    """The verdict as one JSON object."""
    return json.dumps({"verified": True, **asdict(found)}, indent=2)


def show(found: Checked, console: Console) -> None:
    """Prints the verdict for people."""
    console.print(f"{found.origin}: {found.size} leaves, root {found.root}", markup=False)
    console.print(f"holds: the leaves {found.first} to {found.size - 1} make the signed root", markup=False)
    if found.first:
        _show_gone(found, console)
    if not found.pinned:
        console.print("not proved: whose keys signed. The log named them itself; keep its file keys, for --log-key:")
        for key in found.keys:
            name, identity, _ = key.split("+", 2)
            console.print(f"  {name}+{identity}", markup=False)  # no more: a key of ML-DSA fills the screen


def _show_gone(found: Checked, console: Console) -> None:
    since = f", of {found.oldest_time}" if found.oldest_time else ""
    asked = "all" if found.gone_files_asked == found.gone_files else f"{found.gone_files_asked:,}"
    console.print(f"gone: {found.first:,} leaves before {found.first}; the hashes above stand for them", markup=False)
    console.print(f"  asked for {asked} of their {found.gone_files:,} files, the log has none", markup=False)
    console.print(f"  the oldest leaf that is there: {found.first}{since}", markup=False)
    console.print("not proved: that they had to go. Name the first leaf that you count on with --from", markup=False)
