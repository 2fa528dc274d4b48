"""The conformance suite passes an honest holder and catches each of five broken ones, by name."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats_kit.clock import SystemClock
from igstats_kit.declare import Declarations, impersonal_store
from igstats_kit.events import Bus, Event, Stream
from igstats_kit.export_lines import Keys
from igstats_kit.holder import HolderRunner
from igstats_kit.receipt import Signer
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.tables import KIT_TABLES
from igstats_kit.testing import toy
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.conformance import Candidate, Conformance
from igstats_kit.testing.coordinator import Coordinator, Person, offer
from igstats_kit.testing.nats import Nats
from igstats_kit.tokens import Tokens
from nats.aio.client import Client
from sqlalchemy.ext.asyncio import AsyncConnection

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]

HOLDER = "stats"  # the toy speaks as stats, because NATS knows no user of its own for it
TOKENS = Tokens(b"t" * 32)
SEALER = Sealer(b"s" * 32)


class SkipsATable(Subjects):
    """Declares one table less than it fills."""

    def __init__(self) -> None:
        super().__init__(Declarations([toy.people, *KIT_TABLES]), SEALER)


class ForgetsTheTombstone(Subjects):
    """Erases, and lets the person in again."""

    async def _fenced(self, connection: AsyncConnection, cases: Sequence[Case]) -> Keys:
        keys = await super()._fenced(connection, cases)
        await connection.exec_driver_sql("DELETE FROM tombstones")
        return keys


class AcknowledgesEarly(HolderRunner):
    """Calls a task handled whatever became of it."""

    async def handle(self, events: Sequence[Event]) -> None:
        with suppress(Exception):
            await super().handle(events)


class ReportsSuccessWithoutAStore(HolderRunner):
    """Sends a receipt by itself when its database does not answer."""

    async def handle(self, events: Sequence[Event]) -> None:
        try:
            await super().handle(events)
        except Exception:  # noqa: BLE001 - this holder is meant to be bad
            data = offer(HOLDER, ["looks done"])
            subject = f"igstats.{HOLDER}.v1.receipt.issued"
            await self._bus.publish(Event(f"forged-{events[0].id}", subject, "t", datetime.now(UTC), data))


class World:
    """One toy holder with its surroundings; tests swap in a broken part."""

    def __init__(self, database: Database, bus: Bus, operator: Client) -> None:
        self.database = database
        self.bus = bus
        self.operator = operator
        self.coordinator = Coordinator(TOKENS)
        key = Ed25519PrivateKey.generate()
        self.signer = Signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    async def check(
        self,
        *,
        subjects: Subjects | None = None,
        runner: type[HolderRunner] = HolderRunner,
        seed: Callable[[Person], Awaitable[None]] | None = None,
    ) -> dict[str, str]:
        used = subjects or Subjects(toy.DECLARATIONS, SEALER)

        async def honest(person: Person) -> None:
            await toy.seed(self.database, TOKENS, person)

        def build(database: Database) -> HolderRunner:
            return runner(HOLDER, used, database, self.bus, self.coordinator.stub, self.signer, SystemClock())

        candidate = Candidate(HOLDER, used.declarations, self.database, build, seed or honest, toy.somebody)
        failures = await Conformance(candidate, self.coordinator, self.bus, self.operator).check()
        return {failure.rule: failure.message for failure in failures}


@pytest.fixture
async def world(database: MakeDatabase, bus: MakeBus, nats: Nats, certificates: Authority) -> AsyncIterator[World]:
    async with nats.operator(certificates.issue("operator")) as operator:
        made = World(await database("kit"), await bus(HOLDER), operator)
        async with made.database.transaction() as connection:
            await connection.run_sync(toy.METADATA.create_all)
        yield made


async def test_an_honest_holder_passes(world: World) -> None:
    assert await world.check() == {}


async def test_a_holder_that_skips_a_table_is_caught(world: World) -> None:
    failures = await world.check(subjects=SkipsATable())
    assert failures["declares_every_column"] == "column notes.person_id is in the database but not declared"
    assert failures["erases_every_store"] == "table notes still holds a value of the erased person"


async def test_a_holder_that_forgets_the_tombstone_is_caught(world: World) -> None:
    failures = await world.check(subjects=ForgetsTheTombstone(toy.DECLARATIONS, SEALER))
    assert failures["refuses_the_erased"].endswith("took a person back who was erased")


async def test_a_holder_that_acknowledges_before_the_commit_is_caught(world: World) -> None:
    failures = await world.check(runner=AcknowledgesEarly)
    assert "acknowledged before the commit" in failures["acknowledges_after_the_commit"]


async def test_a_holder_that_reports_success_without_its_store_is_caught(world: World) -> None:
    failures = await world.check(runner=ReportsSuccessWithoutAStore)
    assert failures["admits_that_its_store_is_down"] == "a receipt was published although the store was down"


async def test_a_holder_that_leaves_a_copy_in_a_stream_is_caught(world: World) -> None:
    stream = Stream("SYNC", ("igstats.stats.v1.sync.requested",), timedelta(days=1), impersonal_store("test"))
    await world.bus.ensure(stream)

    async def leaky(person: Person) -> None:
        await toy.seed(world.database, TOKENS, person)
        copy = person.identifiers["EMAIL"].encode()
        await world.bus.publish(Event(copy.decode(), stream.subjects[0], "t", datetime.now(UTC), copy))

    failures = await world.check(seed=leaky)
    assert failures == {"leaves_no_copy_in_a_stream": "stream SYNC still holds a value of the erased person"}


def test_an_outcome_has_no_word_for_skipped() -> None:
    assert not any("SKIP" in name for name in Outcome.DESCRIPTOR.values_by_name)
