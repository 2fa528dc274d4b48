"""The evidence of a request as a ZIP that a person keeps and that anyone can check without us. Pure.

What is checked are the entries with their proofs and the keys. All else is the same once more, in the form that a tool
or a person wants it: what a signature is over as a file, keys as PEM, a page to read. The file names and the content of
`request.json` follow from the entries alone, so that the verifier can compute them and knows every byte that it reads.
"""

import base64
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from igstats_kit.errors import DomainError, Reason, Violation

from igstats_audit import manual, proof_file, summary
from igstats_audit.evidence import Evidence
from igstats_audit.model import RECEIPT_ISSUED, REQUEST_CLOSED, Acknowledgement, Entry, Log, RequestEvidence
from igstats_audit.note import NoteSigner, read_checkpoint
from igstats_audit.statements import Closing, Statement
from igstats_audit.story import Exhibit, HolderKey, Story
from igstats_audit.tile_path import CHECKPOINT

SCHEMA = "igstats/evidence/v1"
PIECE_BYTES = 64 * 1024
_HOLDER = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_REGULAR_FILE = 0o100644 << 16

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Readers:
    """How to read what entries hold."""

    receipt: Callable[[bytes], Statement | None]
    closing: Callable[[bytes], Closing]


class Archives:
    """Makes archives. Their checkpoint carries every signature that the log can give, and those of its witness."""

    def __init__(self, evidence: Evidence, signer: NoteSigner, readers: Readers) -> None:
        self._evidence = evidence
        self._signer = signer
        self._readers = readers

    async def of(self, request_id: str, holder_keys: Mapping[str, Sequence[bytes]]) -> list[bytes]:
        """The archive of a request in pieces.

        Raises:
            DomainError: As `Evidence.of`; FIELD_INVALID: a holder's name cannot be a file name; LOG_FILE_LOST: what
                stands as checkpoint of the log is not what it has signed.
        """
        keys = [HolderKey(holder, raw) for holder, found in holder_keys.items() for raw in found]
        if any(not _HOLDER.fullmatch(key.holder) for key in keys):
            raise DomainError(Reason.FIELD_INVALID, violations=[Violation("holder_keys", "names no holder")])
        found = await self._evidence.of(request_id)
        story = tell(request_id, found, keys, self._readers)
        try:
            checkpoint = self._signer.complete(found.checkpoint) + found.cosignatures
        except ValueError:
            raise DomainError(Reason.LOG_FILE_LOST, log=Log.EVIDENCE, path=CHECKPOINT) from None
        whole = packed(files(story, checkpoint, self._signer.verifier_keys), story.closing.closed_at)
        return [whole[start : start + PIECE_BYTES] for start in range(0, len(whole), PIECE_BYTES)]


def tell(request_id: str, found: RequestEvidence, keys: Sequence[HolderKey], readers: Readers) -> Story:
    """Reads the evidence: every entry gets its name in the archive."""
    width = max(2, len(str(len(found.entries))))
    pairs = enumerate(zip(found.entries, found.acknowledgements, strict=True), start=1)
    exhibits = tuple(_exhibit(f"{number:0{width}}", entry, proved, readers) for number, (entry, proved) in pairs)
    closings = [readers.closing(entry.payload) for entry in found.entries if entry.kind == REQUEST_CLOSED]
    checkpoint = read_checkpoint(found.checkpoint)
    return Story(
        request_id=request_id,
        exhibits=exhibits,
        closing=closings[0],
        keys=tuple(sorted(keys, key=lambda key: (key.holder, key.key_id))),
        origin=checkpoint.origin,
        tree_size=checkpoint.size,
        witnesses=tuple(dict.fromkeys(line.split(" ")[1] for line in found.cosignatures.splitlines())),
    )


def _exhibit(number: str, entry: Entry, proved: Acknowledgement, readers: Readers) -> Exhibit:
    said = readers.receipt(entry.payload) if entry.kind == RECEIPT_ISSUED else None
    return Exhibit(f"entries/{number}-{entry.kind}", number, entry, tuple(proved.path), said)


def files(story: Story, checkpoint: str, verifier_keys: Sequence[str]) -> Files:
    """Every file of the archive by name, in order."""
    content: Files = {
        "README.txt": manual.text(story).encode(),
        "index.html": summary.page(story).encode(),
        "request.json": index(story).encode(),
    }
    for exhibit in story.exhibits:
        content |= _entry_files(exhibit, checkpoint)
    for receipt in story.receipts:
        content |= {f"{receipt.name}.signed": receipt.said.signed, f"{receipt.name}.sig": receipt.said.signature}
    content |= _checkpoint_files(checkpoint)
    content |= _log_keys(verifier_keys)
    return content | {key.file: pem(key.public_key) for key in story.keys}


def index(story: Story) -> str:
    """The content of request.json."""
    fields = {
        "schema": SCHEMA,
        "request_id": story.request_id,
        "origin": story.origin,
        "tree_size": story.tree_size,
        "entries": [{"file": exhibit.name, "index": exhibit.entry.index} for exhibit in story.exhibits],
        "holder_keys": [{"file": key.file, "holder": key.holder} for key in story.keys],
    }
    return json.dumps(fields, indent=2) + "\n"


def _entry_files(exhibit: Exhibit, checkpoint: str) -> Files:
    entry = exhibit.entry
    return {
        f"{exhibit.name}.payload": entry.payload,
        f"{exhibit.name}.salt": entry.salt,
        f"{exhibit.name}.leaf": entry.leaf,
        f"{exhibit.name}.tlog-proof": proof_file.write(entry.index, exhibit.path, checkpoint).encode(),
    }


def _checkpoint_files(checkpoint: str) -> Files:
    """The note, and what its Ed25519 signature is over and is, each alone, as openssl wants them."""
    line = checkpoint.partition("\n\n")[2].split("\n")[0]
    signature = base64.b64decode(line.rpartition(" ")[2])[4:]
    return {
        "checkpoint/note.txt": checkpoint.encode(),
        "checkpoint/text": _text(checkpoint).encode(),
        "checkpoint/ed25519.sig": signature,
    }


def _log_keys(verifier_keys: Sequence[str]) -> Files:
    ed25519, *others = verifier_keys
    raw = base64.b64decode(ed25519.split("+", 2)[2])[1:]  # base64 may have a plus too
    more = {"keys/log-mldsa44.vkey": "".join(f"{key}\n" for key in others).encode()} if others else {}
    return {"keys/log.vkey": f"{ed25519}\n".encode(), **more, "keys/log.pem": pem(raw)}


def pem(public_key: bytes) -> bytes:
    """A raw Ed25519 public key as openssl reads it."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def packed(content: Mapping[str, bytes], moment: datetime) -> bytes:
    """The ZIP: the same files always give the same bytes."""
    target = io.BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name, data in content.items():
            info = ZipInfo(name, moment.timetuple()[:6])
            info.compress_type = ZIP_DEFLATED
            info.external_attr = _REGULAR_FILE
            archive.writestr(info, data)
    return target.getvalue()


def _text(checkpoint: str) -> str:
    return checkpoint.partition("\n\n")[0] + "\n"
