"""Reads a .tlog-proof file (c2sp.org/tlog-proof@v1) and checks it offline: pure, from text and keys alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from igstats_client.checkpoint import Trust, open_checkpoint
from igstats_client.forms import Edge, FormError, Refusal, decimal, read_hash, unbase64
from igstats_client.merkle import check_inclusion, leaf_hash
from igstats_client.note import Checkpoint

HEADER = "c2sp.org/tlog-proof@v1"

_EXTRA = "extra "
_INDEX = "index "
_LONGEST_PATH = 63
_LONGEST_FILE = 1 << 21
_Read = TypeVar("_Read")


class ProofFileError(Refusal):
    """The text is not a proof in the one allowed form."""


@dataclass(frozen=True, slots=True)
class ProofFile:
    """A proof as it stands in its file. Nobody vouches for the extra data."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str = field(repr=False)
    extra: bytes | None = None


def parse(text: str) -> ProofFile:
    """Reads a proof.

    Raises:
        ProofFileError: Not in the form of a proof. The checkpoint in it has not been looked at.
    """
    if len(text) > _LONGEST_FILE:
        raise ProofFileError(Edge.TOO_LONG, "no proof is that long")
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != HEADER:
        raise ProofFileError(Edge.PROOF_HEADER, f"a proof begins with {HEADER}")
    if not blank:
        raise ProofFileError(Edge.PROOF_LINES, "a proof has an empty line before its checkpoint")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = _formed(unbase64, lines.pop(0).removeprefix(_EXTRA))
    if not lines or not lines[0].startswith(_INDEX):
        raise ProofFileError(Edge.PROOF_LINES, "a proof names the index of its entry")
    index = _formed(decimal, lines.pop(0).removeprefix(_INDEX))
    if len(lines) > _LONGEST_PATH:
        raise ProofFileError(Edge.PATH_EXTRA, f"no proof has more than {_LONGEST_PATH} hashes")
    return ProofFile(index, tuple(_formed(read_hash, line) for line in lines), checkpoint, extra)


def check(text: str, leaf: bytes, trusted: Trust) -> Checkpoint:
    """Checks that the log which is trusted holds this leaf; returns the checkpoint that says so.

    Raises:
        Refusal: ProofFileError, NoteError, SignatureError or ProofError: malformed, not signed, or not proved.
    """
    return check_hash(text, leaf_hash(leaf), trusted)


def check_hash(text: str, hashed: bytes, trusted: Trust) -> Checkpoint:
    """As `check`, for a reader who has only the hash of the leaf."""
    proof = parse(text)
    checkpoint = open_checkpoint(proof.checkpoint, trusted)
    check_inclusion(hashed, proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint


def _formed(reader: Callable[[str], _Read], text: str) -> _Read:
    try:
        return reader(text)
    except FormError as error:
        raise ProofFileError(error.edge, str(error)) from error
