"""Evidence made by the log's own code and real keys, so that every test of the verifier starts from something true."""

import hashlib
import io
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.message import DecodeError
from igstats.event.v1.events_pb2 import HolderOutcome, RequestClosed
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, SignedReceipt, StoreCount
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_audit.archive import Readers, files, packed, tell
from igstats_audit.leaf import Leaf, commitment, encode
from igstats_audit.model import Acknowledgement, Entry, RequestEvidence
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.payloads import read_closing, read_receipt
from igstats_audit.statements import Closing
from igstats_audit.story import HolderKey
from igstats_audit.tree import Range, grow, leaf_hash
from igstats_client import command
from igstats_kit.testing.certificates import Authority

MOMENT = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
HOLDERS = ("audit", "gateway", "privacy", "stats")
PHASES = (Phase.PHASE_FENCE, Phase.PHASE_ERASE, Phase.PHASE_SWEEP, Phase.PHASE_ATTEST)


def log_signer() -> NoteSigner:
    return NoteSigner("igstats.test/evidence", pem(Ed25519PrivateKey.generate()), pem(MLDSA44PrivateKey.generate()))


def pem(key: Ed25519PrivateKey | MLDSA44PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass
class Case:
    """A request on its way into the log. Change what you like, then `archive()` logs it all and answers."""

    request_id: str = "req_01"
    log: NoteSigner = field(default_factory=log_signer)
    keys: dict[str, Ed25519PrivateKey] = field(
        default_factory=lambda: {holder: Ed25519PrivateKey.generate() for holder in HOLDERS}
    )
    renewed: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    """Keys that holders got before they attested; their older ones stand in `keys`."""
    receipts: list[Receipt] = field(default_factory=list)
    closing: RequestClosed = field(default_factory=RequestClosed)
    strangers: int = 5
    cosign: Callable[[Checkpoint], str] = lambda _: ""
    """Lines of witnesses under the checkpoint."""

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
        newest = self.renewed if receipt.phase == Phase.PHASE_ATTEST else {}
        key = newest.get(receipt.holder) or self.keys[receipt.holder]
        signature = key.sign(b"igstats/receipt/v1\n" + raw)
        identity = hashlib.sha256(key.public_key().public_bytes_raw()).digest()[:8].hex()
        return SignedReceipt(receipt=raw, signature=signature, key_id=identity)

    def payloads(self) -> list[tuple[str, str, bytes]]:
        """Kind, producer and payload of everything that goes into the log for the request."""
        said = [("receipt.issued", one.holder, self.sign(one).SerializeToString()) for one in self.receipts]
        return [*said, ("request.closed", "privacy", self.closing.SerializeToString())]

    def archive(self) -> dict[str, bytes]:
        """Logs everything among other entries, and answers with the files of its archive."""
        return self.log_payloads(self.payloads())

    def zipped(self) -> bytes:
        """The same as the ZIP that a person gets."""
        return packed(self.archive(), MOMENT)

    def log_payloads(self, payloads: list[tuple[str, str, bytes]]) -> dict[str, bytes]:
        """Logs these payloads among other entries."""
        made = [self._entry(index, *one) for index, one in enumerate(payloads, start=self.strangers)]
        noise = [leaf_hash(bytes([number])) for number in range(self.strangers)]
        growth = grow(Range(), [*noise, *(leaf_hash(entry.leaf) for entry in made), *noise])
        proved = [Acknowledgement(entry.entry_id, entry.index, growth.inclusion(entry.index)) for entry in made]
        checkpoint = Checkpoint(self.log.name, growth.after.size, growth.after.root)
        found = RequestEvidence(made, proved, self.log.sign(checkpoint.text))
        own = [*self.keys.items(), *self.renewed.items()]
        keys = [HolderKey(holder, key.public_key().public_bytes_raw()) for holder, key in own]
        story = tell(self.request_id, found, keys, Readers(read_receipt, _closing))
        note = self.log.cosign(checkpoint.text) + self.cosign(checkpoint)
        return files(story, note, self.log.verifier_keys)

    def _entry(self, index: int, kind: str, producer: str, payload: bytes) -> Entry:
        salt = secrets.token_bytes(32)
        raw = encode(Leaf(kind, producer, 0, MOMENT, commitment(salt, payload)))
        return Entry(
            index=index,
            day=MOMENT.date(),
            entry_id=f"entry/{index}",
            kind=kind,
            request_id=self.request_id,
            producer=producer,
            sequence=0,
            leaf=raw,
            salt=salt,
            payload=payload,
            occurred_at=MOMENT,
        )


def _closing(payload: bytes) -> Closing:
    try:
        return read_closing(payload)
    except (DecodeError, ValueError, OverflowError):
        return Closing("", MOMENT, ())


def digest(receipt: Receipt) -> bytes:
    return hashlib.sha256(receipt.SerializeToString(deterministic=True)).digest()


@pytest.fixture
def case() -> Case:
    return Case().fill()


@pytest.fixture
def one_key() -> NoteSigner:
    """A log that has no second key."""
    return NoteSigner("igstats.test/evidence", pem(Ed25519PrivateKey.generate()))


@pytest.fixture
def sign_note() -> Callable[[str, str], tuple[str, str]]:
    """Signs a text under a name with a fresh key; answers note and verifier key."""

    def signed(name: str, text: str) -> tuple[str, str]:
        signer = NoteSigner(name, pem(Ed25519PrivateKey.generate()))
        return signer.sign(text), signer.verifier_key

    return signed


@dataclass
class Ran:
    """How the command ended, and what it printed."""

    code: int
    out: str
    error: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    """Runs the command in an empty folder and answers how it ended and what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "KEY", "CA", "AUDIT_ADDRESS", "PRIVACY_ADDRESS", "OFFICER_CERT", "OFFICER_KEY"):
        monkeypatch.delenv(f"IGSTATS_{name}", raising=False)

    def execute(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.argv", ["igstats", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            command.main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return execute


@pytest.fixture
def serve(
    run: Callable[..., Ran], certificates: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, Callable[[grpc.Server], None]], None]]:
    """Serves a played service to officers; the settings of the command lead there. Takes its name, and who adds it."""
    del run  # it clears the environment that is set here
    servers: list[grpc.Server] = []

    def start(service: str, add: Callable[[grpc.Server], None]) -> None:
        server = grpc.server(ThreadPoolExecutor(4))
        add(server)
        issued, officer = certificates.issue(service), certificates.issue("operator")
        pair = (issued.key.read_bytes(), issued.certificate.read_bytes())
        authority = certificates.certificate.read_bytes()
        credentials = grpc.ssl_server_credentials([pair], authority, require_client_auth=True)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        servers.append(server)
        monkeypatch.setenv(f"IGSTATS_{service.upper()}_ADDRESS", f"127.0.0.1:{port}")
        monkeypatch.setenv("IGSTATS_CA", str(certificates.certificate))
        monkeypatch.setenv("IGSTATS_OFFICER_CERT", str(officer.certificate))
        monkeypatch.setenv("IGSTATS_OFFICER_KEY", str(officer.key))

    yield start
    for server in servers:
        server.stop(None).wait()
