"""Whom a reader trusts for a log, and what a signed checkpoint is worth to them."""

from collections.abc import Iterable
from dataclasses import dataclass

from igstats_client.forms import Edge
from igstats_client.note import (
    Checkpoint,
    NoteError,
    SignatureError,
    SignatureType,
    VerifierKey,
    parse_checkpoint,
    parse_verifier_key,
    signers,
    split_note,
)


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that a reader trusts for one log.

    At least `needed` of the log's own keys must have signed, and at least `quorum` witnesses. Every signature of a
    trusted key that stands under the checkpoint must hold, needed or not; those of other keys say nothing.
    """

    origin: str
    keys: tuple[VerifierKey, ...]
    needed: int = 1
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0

    def __post_init__(self) -> None:
        everyone = [*self.keys, *self.witnesses]
        if len({(key.name, key.id) for key in everyone}) != len(everyone):
            raise NoteError(Edge.KEY_REPEATED, "a key is named twice")
        if len({key.public_key for key in everyone}) != len(everyone):
            raise NoteError(Edge.KEY_REPEATED, "a key has two names")
        if not 1 <= self.needed <= len(self.keys):
            raise NoteError(Edge.SIGNERS_TOO_FEW, "trust needs at least one key, and can need all of the log's")
        if not 0 <= self.quorum <= len({key.name for key in self.witnesses}):
            raise NoteError(Edge.WITNESSES_TOO_FEW, "there are fewer witnesses than have to sign")
        if any(key.type == SignatureType.ED25519 for key in self.witnesses):
            raise NoteError(Edge.KEY_TYPE, "a witness signs with its time")


def trust(
    keys: Iterable[str], *, needed: int = 1, witnesses: Iterable[str] = (), quorum: int = 0, origin: str = ""
) -> Trust:
    """Trust in keys given as vkeys. The origin is the name of the first key unless given.

    Raises:
        NoteError: A key is malformed or named twice, or fewer keys are trusted than have to sign.
    """
    own = tuple(map(parse_verifier_key, keys))
    name = origin or (own[0].name if own else "")
    return Trust(name, own, needed, tuple(map(parse_verifier_key, witnesses)), quorum)


def open_checkpoint(note: str, trusted: Trust) -> Checkpoint:
    """Reads a signed checkpoint of the log that is trusted.

    Raises:
        NoteError: Malformed, of another log, or SignatureError: not signed by enough of those who are trusted.
    """
    opened = split_note(note)
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != trusted.origin:
        raise NoteError(Edge.ORIGIN, f"the checkpoint is of {checkpoint.origin}, not of {trusted.origin}")
    own = signers(opened, trusted.keys)
    if not own:
        raise SignatureError(Edge.SIGNER_UNKNOWN, "no trusted key of the log has signed")
    if len(own) < trusted.needed:
        raise SignatureError(Edge.SIGNERS_TOO_FEW, f"{len(own)} keys of the log have signed, not {trusted.needed}")
    seen = {key.name for key in signers(opened, trusted.witnesses)}
    if len(seen) < trusted.quorum:
        raise SignatureError(Edge.WITNESSES_TOO_FEW, f"{len(seen)} witnesses have signed, not {trusted.quorum}")
    return checkpoint
