"""What the files of an evidence archive are, by their names; pure.

Few of them say anything of their own: entries with their proofs, the checkpoint, and keys. The others repeat it in the
form that a tool wants. `check_copies` compares those byte for byte; README.txt and index.html
are for people, and are not read.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from igstats_client.verdict import Check, Findings

SCHEMA = "igstats/evidence/v1"
FOR_PEOPLE = frozenset({"README.txt", "index.html"})
INDEX = "request.json"
NOTE = "checkpoint/note.txt"
LOG_KEY = "keys/log.vkey"
SECOND_LOG_KEY = "keys/log-mldsa44.vkey"
_PARTS = ("payload", "salt", "leaf", "tlog-proof")
_ENTRY = re.compile(rf"entries/([0-9]{{2,}})-([a-z][a-z_]*(?:\.[a-z][a-z_]*)+)\.({'|'.join(_PARTS)})")
_HOLDER_KEY = re.compile(r"keys/holders/([a-z][a-z0-9_-]{0,62})\.([0-9a-f]{16})\.pem")
KEY_SIZE = 32
"""Bytes of a raw Ed25519 public key, RFC 8032 section 5.1.5."""
_KEY_ID_SIZE = 8

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """An entry as the archive has it; nothing is checked yet."""

    name: str
    number: str
    kind: str
    payload: bytes
    salt: bytes
    leaf: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class HolderKey:
    """A raw public key, and whose the archive says it is."""

    holder: str
    public_key: bytes

    @property
    def file(self) -> str:
        """Where the archive must have it."""
        return f"keys/holders/{self.holder}.{key_id(self.public_key)}.pem"


@dataclass(frozen=True, slots=True)
class Archive:
    """All that is relied on. `read` names the files that it was read from."""

    request_id: str
    exhibits: tuple[Exhibit, ...]
    note: bytes
    log_keys: tuple[str, ...]
    holder_keys: tuple[HolderKey, ...]
    read: frozenset[str]


def open_archive(files: Files, findings: Findings) -> Archive:
    """Reads the files; what is missing or malformed becomes a finding."""
    for name in (INDEX, NOTE, LOG_KEY):
        if name not in files:
            findings.note(Check.FILE_MISSING, name, "the archive has no such file")
    exhibits = _exhibits(files, findings)
    keys = [key for name in sorted(files) for key in _holder_key(name, files[name], findings)]
    lines = [line for name in (LOG_KEY, SECOND_LOG_KEY) for line in _lines(name, files, findings)]
    parts = {f"{one.name}.{part}" for one in exhibits for part in _PARTS}
    read = parts | {key.file for key in keys} | {INDEX, NOTE, LOG_KEY, SECOND_LOG_KEY}
    request_id = _request_id(files.get(INDEX, b""), findings)
    return Archive(request_id, exhibits, files.get(NOTE, b""), tuple(lines), tuple(keys), frozenset(read))


def key_id(public_key: bytes) -> str:
    """Short name of a raw public key, as receipts carry it."""
    return hashlib.sha256(public_key).digest()[:_KEY_ID_SIZE].hex()


def _exhibits(files: Files, findings: Findings) -> tuple[Exhibit, ...]:
    found: dict[tuple[str, str], dict[str, bytes]] = defaultdict(dict)
    for name, content in files.items():
        if match := _ENTRY.fullmatch(name):
            found[match[1], match[2]][match[3]] = content
    exhibits = []
    for (number, kind), parts in sorted(found.items()):
        name = f"entries/{number}-{kind}"
        if missing := [part for part in _PARTS if part not in parts]:
            findings.note(Check.FILE_MISSING, name, f"the entry lacks its {', '.join(missing)}")
        else:
            exhibits.append(Exhibit(name, number, kind, *(parts[part] for part in _PARTS)))
    width = max(2, len(str(len(found))))
    if [number for number, _ in sorted(found)] != [f"{number:0{width}}" for number in range(1, len(found) + 1)]:
        findings.note(Check.FILE_MISSING, "entries", "the entries are not numbered from 1 without a gap")
    return tuple(exhibits)


def _holder_key(name: str, content: bytes, findings: Findings) -> Iterable[HolderKey]:
    match = _HOLDER_KEY.fullmatch(name)
    if match is None:
        return
    try:
        key = load_pem_public_key(content)
        raw = key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""
    except ValueError:
        raw = b""
    if not raw or pem(raw) != content or key_id(raw) != match[2]:
        findings.note(Check.HOLDER_KEY_MALFORMED, name, "not the Ed25519 key that its name says")
        return
    yield HolderKey(match[1], raw)


def _lines(name: str, files: Files, findings: Findings) -> list[str]:
    content = files.get(name)
    if content is None:
        return []
    if not content.isascii() or not content.endswith(b"\n") or content.count(b"\n") != 1:
        findings.note(Check.LOG_KEY_MALFORMED, name, "not a verifier key on a line")
        return []
    return [content.decode().removesuffix("\n")]


def _request_id(content: bytes, findings: Findings) -> str:
    try:
        request_id = json.loads(content)["request_id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        request_id = ""
    if not (isinstance(request_id, str) and request_id):
        findings.note(Check.REQUEST, INDEX, "the archive names no request")
        return ""
    return request_id


def check_copies(files: Files, archive: Archive, copies: Files, findings: Findings) -> None:
    """Compares the files that repeat something with what they must be; files that are nothing of this are refused."""
    for name, content in copies.items():
        if name not in files:
            findings.note(Check.FILE_MISSING, name, "the archive has no such file")
        elif files[name] != content:
            findings.note(Check.FILE_DIFFERS, name, "not what follows from the entries and keys")
    for name in sorted(files.keys() - copies.keys() - archive.read - FOR_PEOPLE):
        findings.note(Check.FILE_UNKNOWN, name, "no part of evidence")


def index(archive: Archive, origin: str, tree_size: int, places: Sequence[int]) -> bytes:
    """What request.json must be; `places` are the indexes of the entries in the log."""
    fields = {
        "schema": SCHEMA,
        "request_id": archive.request_id,
        "origin": origin,
        "tree_size": tree_size,
        "entries": [{"file": one.name, "index": place} for one, place in zip(archive.exhibits, places, strict=True)],
        "holder_keys": [{"file": key.file, "holder": key.holder} for key in archive.holder_keys],
    }
    return (json.dumps(fields, indent=2) + "\n").encode()


def pem(public_key: bytes) -> bytes:
    """The one PEM form of a raw Ed25519 public key."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
