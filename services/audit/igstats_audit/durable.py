"""Small files that must be there after a power cut, whole: what a log remembers outside of its database."""

import os
import secrets
from pathlib import Path


def replace(file: Path, content: bytes) -> None:
    """Replaces a file for its owner only; whoever reads it sees the old one or the new one. Durable when this returns.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync(file.parent)


def sync(directory: Path) -> None:
    """Makes the list of names in a folder durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
