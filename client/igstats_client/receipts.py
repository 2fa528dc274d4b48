"""The holders' side of a proof: each receipt carries the signature of the holder it speaks for."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.api.v1.request_service_pb2 import HolderKey
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, SignedReceipt
from igstats.holder.v1.task_pb2 import Phase

from igstats_client.entries import Opened
from igstats_client.verdict import Check, Findings

KIND = "receipt.issued"
_DOMAIN = b"igstats/receipt/v1\n"
_KEY_SIZE = 32
_KEY_ID_SIZE = 8

Keyring = Mapping[str, Mapping[str, bytes]]
"""Public keys by holder and key id."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A receipt whose signature holds."""

    where: str
    digest: bytes
    receipt: Receipt

    @property
    def phase(self) -> str:
        """Name of the phase that ended."""
        return Phase.Name(self.receipt.phase).removeprefix("PHASE_")

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return Outcome.Name(self.receipt.outcome).removeprefix("OUTCOME_")


def keyring(
    keys: Sequence[HolderKey], trusted: Mapping[str, bytes] | None, findings: Findings
) -> dict[str, dict[str, bytes]]:
    """The holders' keys of the evidence; of a holder that the trusted keys name, only the trusted one."""
    ring: dict[str, dict[str, bytes]] = defaultdict(dict)
    for key in keys:
        where = f"key of {key.holder}"
        if len(key.public_key) != _KEY_SIZE:
            findings.note(Check.HOLDER_KEY_MALFORMED, where, f"a public key has {_KEY_SIZE} bytes")
        elif trusted is not None and trusted.get(key.holder) != key.public_key:
            findings.note(Check.HOLDER_KEY_UNTRUSTED, where, "the evidence names another key than the trusted one")
        else:
            ring[key.holder][hashlib.sha256(key.public_key).digest()[:_KEY_ID_SIZE].hex()] = key.public_key
    return ring


def read_receipts(opened: Sequence[Opened], request_id: str, ring: Keyring, findings: Findings) -> list[Heard]:
    """Returns the receipts that their holders signed for this request, in log order."""
    receipts: list[Heard] = []
    for entry in opened:
        if entry.kind == KIND:
            receipts += _read(entry, request_id, ring, findings)
    return receipts


def _read(entry: Opened, request_id: str, ring: Keyring, findings: Findings) -> list[Heard]:
    try:
        signed = SignedReceipt.FromString(entry.payload)
        receipt = Receipt.FromString(signed.receipt)
        _require_known(receipt)
    except (DecodeError, ValueError, OverflowError):
        findings.note(Check.PAYLOAD_MALFORMED, entry.where, "the payload is not a receipt")
        return []
    where = f"{entry.where} ({receipt.holder} {Phase.Name(receipt.phase).removeprefix('PHASE_')})"
    if entry.producer != receipt.holder:
        findings.note(Check.PRODUCER, where, f"{entry.producer} handed in a receipt of {receipt.holder}")
    if receipt.request_id != request_id:
        findings.note(Check.REQUEST, where, f"the receipt is about request {receipt.request_id}")
    if not _check_signature(signed, receipt.holder, where, ring, findings):
        return []
    return [Heard(where, hashlib.sha256(signed.receipt).digest(), receipt)]


def _require_known(receipt: Receipt) -> None:
    """Raises ValueError when the receipt has a phase, outcome or time that cannot be."""
    if not (receipt.holder and receipt.phase and receipt.outcome):
        raise ValueError("holder, phase or outcome is missing")
    Phase.Name(receipt.phase)
    Outcome.Name(receipt.outcome)
    time_of(receipt.executed_time)
    time_of(receipt.effective_time)


def time_of(stamp: Timestamp) -> datetime:
    """A protobuf time as Python's; raises ValueError or OverflowError when it is beyond the calendar."""
    return stamp.ToDatetime(tzinfo=UTC)


def _check_signature(signed: SignedReceipt, holder: str, where: str, ring: Keyring, findings: Findings) -> bool:
    key = ring.get(holder, {}).get(signed.key_id)
    if key is None:
        findings.note(Check.HOLDER_KEY_MISSING, where, f"the evidence has no usable key {signed.key_id} of {holder}")
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed.signature, _DOMAIN + signed.receipt)
    except (InvalidSignature, ValueError):
        findings.note(Check.RECEIPT_SIGNATURE, where, f"{holder} has not signed this receipt")
        return False
    return True
