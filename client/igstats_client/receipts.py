"""The holders' side of a proof: each receipt carries the signature of the holder it speaks for."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, SignedReceipt
from igstats.holder.v1.task_pb2 import Phase, Right

from igstats_client.archive import HolderKey, key_id
from igstats_client.entries import Opened
from igstats_client.verdict import Check, Findings

KIND = "receipt.issued"
_DOMAIN = b"igstats/receipt/v1\n"
_MINUTE = timedelta(minutes=1)

Keyring = Mapping[str, Mapping[str, bytes]]
"""Public keys by holder and key id."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A receipt whose signature holds."""

    where: str
    number: str
    digest: bytes
    receipt: Receipt
    receipt_bytes: bytes
    signature: bytes

    @property
    def phase(self) -> str:
        """Name of the phase that ended."""
        return Phase.Name(self.receipt.phase).removeprefix("PHASE_")

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return Outcome.Name(self.receipt.outcome).removeprefix("OUTCOME_")

    @property
    def executed(self) -> datetime:
        """When the holder did it, as it says."""
        return time_of(self.receipt.executed_time)

    @property
    def copies(self) -> dict[str, bytes]:
        """What openssl needs to check the signature."""
        name = f"receipts/{self.number}-{self.receipt.holder}-{self.phase}"
        signed = _DOMAIN + self.receipt_bytes
        return {f"{name}.signed": signed, f"{name}.sig": self.signature}


def keyring(
    keys: Sequence[HolderKey], trusted: Mapping[str, Collection[bytes]] | None, findings: Findings
) -> dict[str, dict[str, bytes]]:
    """The holders' keys of the archive; if any keys are trusted, only those."""
    ring: dict[str, dict[str, bytes]] = defaultdict(dict)
    for key in keys:
        if trusted is not None and key.public_key not in trusted.get(key.holder, ()):
            text = "the archive names a key that is not among the trusted ones"
            findings.note(Check.HOLDER_KEY_UNTRUSTED, f"key of {key.holder}", text)
        else:
            ring[key.holder][key_id(key.public_key)] = key.public_key
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
        _require_one_form(signed, entry.payload)
    except (DecodeError, ValueError, OverflowError):
        findings.note(Check.PAYLOAD_MALFORMED, entry.where, "the payload is not a receipt")
        return []
    where = f"{entry.where} ({receipt.holder} {Phase.Name(receipt.phase).removeprefix('PHASE_')})"
    if entry.producer != receipt.holder:
        findings.note(Check.PRODUCER, where, f"{entry.producer} handed in a receipt of {receipt.holder}")
    if receipt.request_id != request_id:
        findings.note(Check.REQUEST, where, f"the receipt is about request {receipt.request_id}")
    if receipt.task_id != f"{request_id}/{receipt.holder}/{Phase.Name(receipt.phase).removeprefix('PHASE_')}":
        findings.note(Check.TASK, where, f"the receipt is of task {receipt.task_id}")
    _check_times(receipt, entry.minute, where, findings)
    if not _check_signature(signed, receipt.holder, where, ring, findings):
        return []
    digest = hashlib.sha256(signed.receipt).digest()
    return [Heard(where, entry.number, digest, receipt, signed.receipt, signed.signature)]


def _check_times(receipt: Receipt, minute: datetime, where: str, findings: Findings) -> None:
    executed = time_of(receipt.executed_time)
    if not minute <= executed < minute + _MINUTE:
        findings.note(Check.LEAF_TIME, where, f"the holder says {executed:%Y-%m-%dT%H:%MZ}, the log {minute:%H:%MZ}")
    if receipt.HasField("effective_time") and time_of(receipt.effective_time) < executed:
        findings.note(Check.TIME_ORDER, where, "the outcome is said to hold before anything was done")


def _require_known(receipt: Receipt) -> None:
    """Raises ValueError when the receipt has a phase, outcome or time that cannot be."""
    if not (receipt.holder and receipt.right and receipt.phase and receipt.outcome):
        raise ValueError("holder, right, phase or outcome is missing")
    Right.Name(receipt.right)
    Phase.Name(receipt.phase)
    Outcome.Name(receipt.outcome)
    time_of(receipt.executed_time)
    time_of(receipt.effective_time)


def _require_one_form(signed: SignedReceipt, payload: bytes) -> None:
    """Raises ValueError when the payload says anything beside receipt, signature and key, or says it in another way."""
    if signed.SerializeToString(deterministic=True) != payload:
        raise ValueError("not the one form of a signed receipt")


def time_of(stamp: Timestamp) -> datetime:
    """A protobuf time as Python's; raises ValueError or OverflowError when it is beyond the calendar."""
    return stamp.ToDatetime(tzinfo=UTC)


def _check_signature(signed: SignedReceipt, holder: str, where: str, ring: Keyring, findings: Findings) -> bool:
    key = ring.get(holder, {}).get(signed.key_id)
    if key is None:
        findings.note(Check.HOLDER_KEY_MISSING, where, f"the archive has no usable key {signed.key_id} of {holder}")
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed.signature, _DOMAIN + signed.receipt)
    except (InvalidSignature, ValueError):
        findings.note(Check.RECEIPT_SIGNATURE, where, f"{holder} has not signed this receipt")
        return False
    return True
