"""What `igstats receipt verify` does: reads a file, checks it, says what that proves. Asks nobody."""

import base64
import binascii
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from igstats_client import archive_file, report
from igstats_client.archive import KEY_SIZE
from igstats_client.archive_file import ArchiveFileError
from igstats_client.screen import Screen
from igstats_client.verdict import Check, Finding, Verdict
from igstats_client.verifier import verify


def verify_file(
    file: Path, log_keys: Sequence[str], holder_keys: Sequence[str], witness_keys: Sequence[str], *, as_json: bool
) -> bool:
    """Checks an evidence archive and prints the verdict; answers whether everything holds.

    Raises:
        ValueError: A holder key has not the form name=base64 of an Ed25519 key.
        OSError: The file cannot be read.
    """
    verdict = _verdict(file, log_keys, _pinned(holder_keys), witness_keys)
    if as_json:
        sys.stdout.write(report.as_json(verdict) + "\n")
    else:
        report.show(verdict, Screen())
    return verdict.ok


def _verdict(
    file: Path, log_keys: Sequence[str], pinned: Mapping[str, Collection[bytes]] | None, witness_keys: Sequence[str]
) -> Verdict:
    try:
        files = archive_file.read(file)
    except ArchiveFileError as error:
        return Verdict((Finding(Check.ARCHIVE_MALFORMED, file.name, str(error)),), "")
    return verify(files, log_keys=log_keys, holder_keys=pinned, witness_keys=witness_keys)


def _pinned(given: Sequence[str]) -> Mapping[str, Collection[bytes]] | None:
    """Trusted keys by holder: one whose key was renewed has several."""
    found: dict[str, set[bytes]] = defaultdict(set)
    for name, key in map(_holder_key, given):
        found[name].add(key)
    return found or None


def _holder_key(text: str) -> tuple[str, bytes]:
    name, equals, encoded = text.partition("=")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if not (name and equals and len(key) == KEY_SIZE):
        raise ValueError(f"a holder key has the form name=base64 of {KEY_SIZE} bytes, not {text}")
    return name, key
