"""Audit is a holder like any other: the conformance suite, run against its own ingress."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.calls import CallLog
from igstats_audit.model import CallRecord, Delivery
from igstats_audit.store import DayStore
from igstats_audit.tables import CALL_DAYS, DECLARATIONS
from igstats_kit.clock import SystemClock
from igstats_kit.events import Bus, Event
from igstats_kit.holder import HolderRunner
from igstats_kit.receipt import Signer
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.conformance import Candidate, Conformance
from igstats_kit.testing.coordinator import Coordinator, Person
from igstats_kit.testing.nats import Nats
from igstats_kit.tokens import Tokens

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]

TOKENS = Tokens(b"t" * 32)
WAY, REST = Sealer(b"w" * 32), Sealer(b"r" * 32)


def somebody(number: int) -> Person:
    account = f"acc_{number:026}"
    return Person({"ACCOUNT_ID": account}, (account,))


async def test_audit_passes_the_conformance_suite(
    database: MakeDatabase, bus: MakeBus, nats: Nats, certificates: Authority
) -> None:
    own, speaker, events = await database("audit"), await bus("audit"), count()
    coordinator = Coordinator(TOKENS)
    key = Ed25519PrivateKey.generate()
    signer = Signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    async def seed(person: Person) -> None:
        number, now = next(events), datetime.now(UTC)
        account = person.identifiers["ACCOUNT_ID"]
        sealed = WAY.seal(b'{"ip_address": "192.0.2.7", "user_agent": "curl/8"}', "access")
        record = CallRecord(f"req_{number}", account, "key", "/a.B/C", "grpc", 0, "", now, 1, sealed)
        log = CallLog(DayStore(own), TOKENS, WAY, REST, SystemClock(), days=CALL_DAYS)
        await log.keep(Delivery("audit-access", [Event(f"evt_{number}", "s", "t", now, b"")]), [record])

    def build(store: Database) -> HolderRunner:
        subjects = Subjects(DECLARATIONS, REST)
        return HolderRunner("audit", subjects, store, speaker, coordinator.stub, signer, SystemClock())

    candidate = Candidate("audit", DECLARATIONS, own, build, seed, somebody)
    async with nats.operator(certificates.issue("operator")) as operator:
        assert await Conformance(candidate, coordinator, speaker, operator).check() == []
