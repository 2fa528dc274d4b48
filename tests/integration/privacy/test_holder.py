"""Privacy is a holder like any other: the conformance suite, run against its own ingress."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from igstats_kit.clock import SystemClock
from igstats_kit.events import Bus
from igstats_kit.holder import HolderRunner
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.conformance import Candidate, Conformance
from igstats_kit.testing.coordinator import Coordinator, Person
from igstats_kit.testing.nats import Nats
from igstats_privacy.declarations import DECLARATIONS
from igstats_privacy.model import Right
from igstats_privacy.shares import Piece

from tests.integration.privacy.conftest import Office
from tests.integration.privacy.served import new_signer
from tests.integration.privacy.test_exports import pieces

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]


def somebody(number: int) -> Person:
    """Everything that privacy stores about a person is sealed, but for the name of a store: it stands for the copy."""
    return Person({"ACCOUNT_ID": f"acc_{number:026}"}, (f"copy-of-person-{number}",))


async def test_privacy_passes_the_conformance_suite(
    database: MakeDatabase, bus: MakeBus, nats: Nats, certificates: Authority
) -> None:
    own, speaker, signer = await database("privacy"), await bus("privacy"), new_signer()
    office = Office(own, FakeClock(datetime.now(UTC)))
    coordinator = Coordinator(office.tokens)
    await office.register("privacy")

    async def seed(person: Person) -> None:
        account_id = person.identifiers["ACCOUNT_ID"]
        request_id = await office.open(Right.ACCESS, key=f"access-{account_id}", account_id=account_id)
        await office.triage.run_once()
        piece = Piece(person.needles[0], b'{"about": "the person"}\n', 1)
        await office.shares.take_one("privacy", f"{request_id}/privacy/EXPORT", pieces(piece))

    def build(store: Database) -> HolderRunner:
        subjects = Subjects(DECLARATIONS, Sealer(b"s" * 32))
        return HolderRunner("privacy", subjects, store, speaker, coordinator.stub, signer, SystemClock())

    candidate = Candidate("privacy", DECLARATIONS, own, build, seed, somebody)
    async with nats.operator(certificates.issue("operator")) as operator:
        assert await Conformance(candidate, coordinator, speaker, operator).check() == []
