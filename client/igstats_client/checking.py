"""What `igstats receipt verify` does: reads a file, checks it, says what that proves. Asks nobody."""

import base64
import binascii
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from igstats_client import evidence_file, report
from igstats_client.verifier import verify


def verify_file(file: Path, log_key: str, holder_keys: Sequence[str], *, as_json: bool) -> bool:
    """Checks an evidence file and prints the verdict; answers whether everything holds.

    Raises:
        ValueError: The file is no evidence file, or a holder key has not the form name=base64.
        OSError: The file cannot be read.
    """
    pinned = dict(map(_holder_key, holder_keys)) if holder_keys else None
    verdict = verify(evidence_file.read(file), log_key=log_key, holder_keys=pinned)
    if as_json:
        sys.stdout.write(report.as_json(verdict) + "\n")
    else:
        report.show(verdict, Console(soft_wrap=True))
    return verdict.ok


def _holder_key(text: str) -> tuple[str, bytes]:
    name, equals, encoded = text.partition("=")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if not (name and equals and key):
        raise ValueError(f"a holder key has the form name=base64, not {text}")
    return name, key
