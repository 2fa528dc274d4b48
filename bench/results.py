"""What benchmarks print, and what they keep in RESULTS.md: one section each, replaced by the next run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

_HEAD = "# Results\n\nTwo cores, shared and noisy: read the ratios.\n\n"


class Line(NamedTuple):
    """One figure: what was measured, its limit, what it compares with, and whether the limit is kept."""

    what: str
    measured: str
    limit: str
    peer: str
    kept: bool


def show(lines: Sequence[Line], peer: str) -> None:
    """Prints the table; `peer` heads the column of comparisons."""
    table = Table("what", "measured", "limit", peer, "kept")
    for line in lines:
        table.add_row(*line[:-1], "yes" if line.kept else "NO")
    Console().print(table)


def keep(lines: Sequence[Line], name: str, peer: str, path: Path) -> None:
    """Replaces the section of the benchmark `name` in the results file."""
    title = f"## {name}\n"
    rows = [f"| {' | '.join(line[:-1])} | {'yes' if line.kept else '**no**'} |" for line in lines]
    head = f"{title}\nCommand: `python bench/{name}.py {' '.join(sys.argv[1:])}`\n"
    section = "\n".join([head, f"| what | measured | limit | {peer} | kept |", "|---|---|---|---|---|", *rows, ""])
    text = path.read_text() if path.exists() else _HEAD
    before, found, after = text.partition(title)
    rest = after[after.find("\n## ") + 1 :] if found and "\n## " in after else ""
    joint = "" if before.endswith("\n\n") else "\n"
    path.write_text(f"{before}{joint}{section}{chr(10) + rest if rest else ''}")
