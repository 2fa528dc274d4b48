"""The log's side of a proof: each entry is in the signed tree, and its leaf commits to the payload shown."""

import hashlib
import struct
from dataclasses import dataclass

from igstats.api.v1.request_service_pb2 import EvidenceEntry, GetEvidenceResponse

from igstats_client.merkle import HASH_SIZE, ProofError, leaf_hash, root_of
from igstats_client.note import (
    Checkpoint,
    NoteError,
    SignatureError,
    VerifierKey,
    open_note,
    parse_checkpoint,
    parse_verifier_key,
)
from igstats_client.verdict import Check, Findings

_LEAF = struct.Struct(">B32s16sQI32s")
_LEAF_VERSION = 1
_DOMAIN = b"igstats/commitment/v1\n"


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry that the log has proved: who said what kind of thing, and the thing."""

    where: str
    kind: str
    producer: str
    payload: bytes


def check_checkpoint(evidence: GetEvidenceResponse, log_key: str, findings: Findings) -> Checkpoint | None:
    """Opens the checkpoint with the key of the evidence, which must be the trusted one when there is one."""
    where = "checkpoint"
    try:
        key = parse_verifier_key(evidence.verifier_key)
    except NoteError as error:
        findings.note(Check.LOG_KEY_MALFORMED, where, error)
        return None
    if log_key and evidence.verifier_key != log_key:
        findings.note(Check.LOG_KEY_UNTRUSTED, where, "the evidence names another log key than the trusted one")
        return None
    checkpoint = _open_checkpoint(evidence.checkpoint, key, findings)
    if checkpoint is not None and checkpoint.origin != key.name:
        findings.note(Check.CHECKPOINT_ORIGIN, where, f"the key is {key.name}'s, the checkpoint {checkpoint.origin}'s")
    if checkpoint is not None and checkpoint.size == 0:
        findings.note(Check.TREE_EMPTY, where, "the checkpoint is of an empty log and proves nothing")
    return checkpoint


def _open_checkpoint(note: str, key: VerifierKey, findings: Findings) -> Checkpoint | None:
    try:
        return parse_checkpoint(open_note(note, key))
    except SignatureError as error:
        findings.note(Check.CHECKPOINT_SIGNATURE, "checkpoint", error)
    except NoteError as error:
        findings.note(Check.CHECKPOINT_MALFORMED, "checkpoint", error)
    return None


def open_entries(evidence: GetEvidenceResponse, checkpoint: Checkpoint | None, findings: Findings) -> list[Opened]:
    """Checks every entry, and returns those whose payload is what the log committed to."""
    if not evidence.entries:
        findings.note(Check.ENTRIES_MISSING, "entries", "the evidence holds no entry")
    last = -1
    opened: list[Opened] = []
    for entry in evidence.entries:
        where = f"entry {entry.index}"
        if entry.index <= last:
            findings.note(Check.ENTRY_ORDER, where, "entries must come in log order, each once")
        last = max(last, entry.index)
        if checkpoint is not None:
            _check_inclusion(entry, checkpoint, where, findings)
        opened += _open_leaf(entry, where, findings)
    return opened


def _check_inclusion(entry: EvidenceEntry, checkpoint: Checkpoint, where: str, findings: Findings) -> None:
    try:
        root = root_of(leaf_hash(entry.leaf), entry.index, checkpoint.size, entry.path)
    except ProofError as error:
        findings.note(Check.INCLUSION_SHAPE, where, error)
        return
    if root != checkpoint.root:
        findings.note(Check.INCLUSION_ROOT, where, "the proof does not lead to the signed root")


def _open_leaf(entry: EvidenceEntry, where: str, findings: Findings) -> list[Opened]:
    try:
        kind, producer, commitment = _read_leaf(entry.leaf)
    except ValueError as error:
        findings.note(Check.LEAF_MALFORMED, where, error)
        return []
    if kind != entry.kind:
        findings.note(Check.LEAF_KIND, where, f"the log holds {kind}, the evidence says {entry.kind}")
        return []
    fits = hashlib.sha256(_DOMAIN + entry.salt + entry.payload).digest() == commitment
    if len(entry.salt) != HASH_SIZE or not fits:
        findings.note(Check.COMMITMENT, where, "the payload is not the one that the log committed to")
        return []
    return [Opened(where, kind, producer, entry.payload)]


def _read_leaf(raw: bytes) -> tuple[str, str, bytes]:
    if len(raw) != _LEAF.size or raw[0] != _LEAF_VERSION:
        raise ValueError(f"a leaf has {_LEAF.size} bytes and version {_LEAF_VERSION}")
    _, kind, producer, _, _, commitment = _LEAF.unpack(raw)
    return _name(kind), _name(producer), commitment


def _name(raw: bytes) -> str:
    text = raw.rstrip(b"\0").decode("ascii")
    if not text or not text.isprintable():
        raise ValueError("a name in the leaf is malformed")
    return text
