"""Evidence made by the log's own code and real keys, so that every test of the verifier starts from something true."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.api.v1.request_service_pb2 import EvidenceEntry, GetEvidenceResponse, HolderKey
from igstats.event.v1.events_pb2 import HolderOutcome, RequestClosed
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, SignedReceipt, StoreCount
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_audit.leaf import Leaf, commitment, encode
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.tree import Range, grow, leaf_hash

MOMENT = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
HOLDERS = ("audit", "gateway", "privacy", "stats")
PHASES = (Phase.PHASE_FENCE, Phase.PHASE_ERASE, Phase.PHASE_SWEEP, Phase.PHASE_ATTEST)


def log_signer() -> NoteSigner:
    return NoteSigner("igstats.test/evidence", pem(Ed25519PrivateKey.generate()))


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass
class Case:
    """A request on its way into the log. Change what you like, then `evidence()` logs it all and answers."""

    request_id: str = "req_01"
    log: NoteSigner = field(
        default_factory=lambda: NoteSigner("igstats.test/evidence", pem(Ed25519PrivateKey.generate()))
    )
    keys: dict[str, Ed25519PrivateKey] = field(
        default_factory=lambda: {holder: Ed25519PrivateKey.generate() for holder in HOLDERS}
    )
    receipts: list[Receipt] = field(default_factory=list)
    closing: RequestClosed = field(default_factory=RequestClosed)
    strangers: int = 5

    def fill(self) -> "Case":
        """An erasure that every holder did and attested."""
        self.closing = RequestClosed(request_id=self.request_id, state="FULFILLED")
        self.closing.closed_time.FromDatetime(MOMENT)
        for phase in PHASES:
            self.receipts += [self.receipt(holder, phase) for holder in HOLDERS]
        self.list_holders()
        return self

    def list_holders(self) -> None:
        """Lets the closing name the last receipt of each holder."""
        del self.closing.holders[:]
        for holder, last in {receipt.holder: receipt for receipt in self.receipts}.items():
            name = Outcome.Name(last.outcome).removeprefix("OUTCOME_")
            self.closing.holders.append(HolderOutcome(holder=holder, outcome=name, receipt_digest=digest(last)))

    def receipt(self, holder: str, phase: Phase.ValueType) -> Receipt:
        """A receipt as a holder writes it."""
        outcome = Outcome.OUTCOME_DONE if phase in {Phase.PHASE_FENCE, Phase.PHASE_SWEEP} else Outcome.OUTCOME_ERASED
        made = Receipt(
            task_id=f"{self.request_id}/{holder}/{Phase.Name(phase).removeprefix('PHASE_')}",
            request_id=self.request_id,
            holder=holder,
            right=Right.RIGHT_ERASURE,
            phase=phase,
            outcome=outcome,
            counts=[StoreCount(store="profiles", count=1)],
        )
        made.executed_time.FromDatetime(MOMENT)
        if phase == Phase.PHASE_ATTEST:
            made.earlier_digests.extend(digest(one) for one in self.receipts if one.holder == holder)
        return made

    def sign(self, receipt: Receipt) -> SignedReceipt:
        """The receipt with its holder's signature."""
        raw = receipt.SerializeToString(deterministic=True)
        key = self.keys[receipt.holder]
        signature = key.sign(b"igstats/receipt/v1\n" + raw)
        identity = hashlib.sha256(key.public_key().public_bytes_raw()).digest()[:8].hex()
        return SignedReceipt(receipt=raw, signature=signature, key_id=identity)

    def payloads(self) -> list[tuple[str, str, bytes]]:
        """Kind, producer and payload of everything that goes into the log for the request."""
        said = [("receipt.issued", one.holder, self.sign(one).SerializeToString()) for one in self.receipts]
        return [*said, ("request.closed", "privacy", self.closing.SerializeToString())]

    def evidence(self) -> GetEvidenceResponse:
        """Logs everything among other entries and answers as privacy would."""
        return self.log_payloads(self.payloads())

    def log_payloads(self, payloads: list[tuple[str, str, bytes]]) -> GetEvidenceResponse:
        """Logs these payloads among other entries."""
        made = []
        for kind, producer, payload in payloads:
            salt = secrets.token_bytes(32)
            raw = encode(Leaf(kind, producer, 0, MOMENT, commitment(salt, payload)))
            made.append(EvidenceEntry(kind=kind, leaf=raw, salt=salt, payload=payload))
        noise = [leaf_hash(bytes([number])) for number in range(self.strangers)]
        growth = grow(Range(), [*noise, *(leaf_hash(entry.leaf) for entry in made), *noise])
        for index, entry in enumerate(made, start=self.strangers):
            entry.index = index
            entry.path.extend(growth.inclusion(index))
        checkpoint = Checkpoint(self.log.name, growth.after.size, growth.after.root)
        return GetEvidenceResponse(
            request_id=self.request_id,
            entries=made,
            checkpoint=self.log.sign(checkpoint.text),
            verifier_key=self.log.verifier_key,
            holder_keys=[
                HolderKey(holder=holder, public_key=key.public_key().public_bytes_raw())
                for holder, key in self.keys.items()
            ],
        )


def digest(receipt: Receipt) -> bytes:
    return hashlib.sha256(receipt.SerializeToString(deterministic=True)).digest()


@pytest.fixture
def case() -> Case:
    return Case().fill()


@pytest.fixture
def sign_note() -> Callable[[str, str], tuple[str, str]]:
    """Signs a text under a name with a fresh key; answers note and verifier key."""

    def signed(name: str, text: str) -> tuple[str, str]:
        signer = NoteSigner(name, pem(Ed25519PrivateKey.generate()))
        return signer.sign(text), signer.verifier_key

    return signed
