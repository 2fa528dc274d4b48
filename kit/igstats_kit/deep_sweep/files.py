"""Searches files for bytes, piece by piece, so that a large file neither fills memory nor holds up the service."""

import asyncio
from pathlib import Path

from igstats_kit.deep_sweep.edges import BEFORE, CONTEXT
from igstats_kit.deep_sweep.model import Needles

_PIECE = 4 * 1024 * 1024


async def within(path: Path, needles: Needles) -> set[str] | None:
    """The requests whose values are in the file; None when it went away meanwhile.

    Raises:
        PermissionError: We may not read it.
    """
    return await asyncio.to_thread(_within, path, needles)


def _within(path: Path, needles: Needles) -> set[str] | None:
    """Pieces overlap, so that every value stands in one of them with what is around it."""
    found: set[str] = set()
    content, start = b"", 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                content += piece
                found |= needles.within(content, start, max(0, len(content) - CONTEXT))
                start = BEFORE if len(content) > needles.reach else 0
                content = content[-needles.reach :]
            found |= needles.within(content, start)
    except FileNotFoundError:
        return None
    return found


def of(folder: Path) -> list[Path]:
    """The files in a folder."""
    return sorted(found for found in folder.iterdir() if found.is_file())


def log_files(path: Path) -> list[Path]:
    """A log file and what rotation has made of it."""
    return sorted(found for found in path.parent.glob(f"{path.name}*") if found.is_file())
