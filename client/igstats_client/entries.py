"""The log's side of a proof: each entry is in the signed tree, and its leaf commits to the payload shown."""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from igstats_client import proof_file
from igstats_client.archive import Archive, Exhibit, pem
from igstats_client.checkpoint import Trust, open_checkpoint
from igstats_client.forms import HASH_SIZE, Refusal, text_of
from igstats_client.merkle import check_inclusion, leaf_hash
from igstats_client.note import (
    Checkpoint,
    Note,
    NoteError,
    SignatureError,
    SignatureType,
    VerifierKey,
    parse_verifier_key,
    split_note,
)
from igstats_client.verdict import Check, Findings

_LEAF = struct.Struct(">B32s16sQI32s")
_LEAF_VERSION = 1
_DOMAIN = b"igstats/commitment/v1\n"
_WHERE = "checkpoint"
_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST_MINUTE = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint whose signatures hold, the keys that made them, and what shows that to other tools."""

    checkpoint: Checkpoint
    note: Note
    keys: tuple[VerifierKey, ...]
    copies: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the tree holds of an entry: what kind of thing, from whom, in which minute, and the commitment."""

    kind: str
    producer: str
    minute: datetime
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry that the log has proved: who said what kind of thing, when, and the thing."""

    where: str
    number: str
    kind: str
    producer: str
    minute: datetime
    payload: bytes


def check_checkpoint(archive: Archive, trusted: Sequence[str], findings: Findings) -> Sealed | None:
    """Opens the checkpoint with the keys of the archive, each of which must be trusted if any of its type is."""
    try:
        keys = [parse_verifier_key(key) for key in archive.log_keys]
        pins = [parse_verifier_key(key) for key in trusted]
    except NoteError as error:
        findings.note(Check.LOG_KEY_MALFORMED, _WHERE, error)
        return None
    types = [key.type for key in keys]
    if types not in ([SignatureType.ED25519], [SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE]):
        findings.note(Check.LOG_KEY_MALFORMED, _WHERE, "a log has an Ed25519 key, and may have an ML-DSA-44 key too")
        return None
    pinned = {key.type for key in pins}
    if any(key.type in pinned and key not in pins for key in keys) or not pinned <= set(types):
        findings.note(Check.LOG_KEY_UNTRUSTED, _WHERE, "the archive names other keys of the log than the trusted ones")
        return None
    return _open_checkpoint(archive.note, keys, findings)


def _open_checkpoint(raw: bytes, keys: Sequence[VerifierKey], findings: Findings) -> Sealed | None:
    try:
        note = text_of(raw)
        checkpoint = open_checkpoint(note, Trust(keys[0].name, tuple(keys), len(keys)))
    except SignatureError as error:
        findings.note(Check.CHECKPOINT_SIGNATURE, _WHERE, error)
        return None
    except Refusal as error:
        findings.note(Check.CHECKPOINT_MALFORMED, _WHERE, error)
        return None
    if checkpoint.size == 0:
        findings.note(Check.TREE_EMPTY, _WHERE, "the checkpoint is of an empty log and proves nothing")
    taken = split_note(note)
    by_key = {(name, identity): signature for name, identity, signature in taken.signatures}
    if {(name, identity) for name, identity in by_key if name == keys[0].name} - {(key.name, key.id) for key in keys}:
        findings.note(Check.CHECKPOINT_SIGNATURE, _WHERE, "the log has signed with a key that is not here")
    copies = {
        "checkpoint/text": taken.text.encode(),
        "checkpoint/ed25519.sig": by_key[keys[0].name, keys[0].id],
        "keys/log.pem": pem(keys[0].public_key),
    }
    return Sealed(checkpoint, taken, tuple(keys), copies)


def open_entries(archive: Archive, checkpoint: Checkpoint | None, findings: Findings) -> list[Opened]:
    """Checks every entry, and returns those whose payload is what the log committed to."""
    if not archive.exhibits:
        findings.note(Check.ENTRIES_MISSING, "entries", "the archive holds no entry")
    opened: list[Opened] = []
    for exhibit in archive.exhibits:
        if checkpoint is not None:
            _check_inclusion(exhibit, archive.note, checkpoint, findings)
        opened += _open_leaf(exhibit, findings)
    return opened


def places(archive: Archive, findings: Findings) -> list[int] | None:
    """Indexes of the entries in the log; None when one cannot be read."""
    try:
        found = [proof_file.parse(text_of(exhibit.proof)).index for exhibit in archive.exhibits]
    except Refusal:
        return None  # _check_inclusion says which and why
    if sorted(set(found)) != found:
        findings.note(Check.ENTRY_ORDER, "entries", "entries must come in log order, each once")
    return found


def _check_inclusion(exhibit: Exhibit, note: bytes, checkpoint: Checkpoint, findings: Findings) -> None:
    try:
        proof = proof_file.parse(text_of(exhibit.proof))
    except Refusal as error:
        findings.note(Check.PROOF_MALFORMED, exhibit.name, error)
        return
    if proof.checkpoint.encode() != note or proof.extra is not None:
        findings.note(Check.PROOF_CHECKPOINT, exhibit.name, "the proof leads to another checkpoint, or says more")
    try:
        check_inclusion(leaf_hash(exhibit.leaf), proof.index, checkpoint.size, proof.path, checkpoint.root)
    except Refusal as error:
        findings.note(Check.INCLUSION, exhibit.name, error)


def _open_leaf(exhibit: Exhibit, findings: Findings) -> list[Opened]:
    try:
        leaf = read_leaf(exhibit.leaf)
    except ValueError as error:
        findings.note(Check.LEAF_MALFORMED, exhibit.name, error)
        return []
    if leaf.kind != exhibit.kind:
        findings.note(Check.LEAF_KIND, exhibit.name, f"the log holds {leaf.kind}")
        return []
    if not opens(leaf, exhibit.salt, exhibit.payload):
        findings.note(Check.COMMITMENT, exhibit.name, "the payload is not the one that the log committed to")
        return []
    return [Opened(exhibit.name, exhibit.number, leaf.kind, leaf.producer, leaf.minute, exhibit.payload)]


def opens(leaf: Leaf, salt: bytes, payload: bytes) -> bool:
    """Whether the leaf commits to the payload."""
    return len(salt) == HASH_SIZE and hashlib.sha256(_DOMAIN + salt + payload).digest() == leaf.commitment


def read_leaf(raw: bytes) -> Leaf:
    """Reads a leaf.

    Raises:
        ValueError: It is not in the one form.
    """
    if len(raw) != _LEAF.size or raw[0] != _LEAF_VERSION:
        raise ValueError(f"a leaf has {_LEAF.size} bytes and version {_LEAF_VERSION}")
    _, kind, producer, _, minutes, commitment = _LEAF.unpack(raw)
    if minutes > _LAST_MINUTE:
        raise ValueError("a time beyond the calendar")
    return Leaf(_name(kind), _name(producer), _EPOCH + timedelta(minutes=minutes), commitment)


def _name(raw: bytes) -> str:
    text = raw.rstrip(b"\0").decode("ascii")
    if not text or not text.isprintable():
        raise ValueError("a name in the leaf is malformed")
    return text
