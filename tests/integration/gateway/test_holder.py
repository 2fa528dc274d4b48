"""The gateway as a holder: the conformance suite, for accounts and for contact persons."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.gateway.v1.contact_service_pb2 import PlantCanaryRequest
from igstats.holder.v1.task_pb2 import Right
from igstats_gateway.accounts import Registration
from igstats_gateway.declarations import DECLARATIONS
from igstats_gateway.keys import Pepper, make
from igstats_gateway.model import Account, Billing, CallRecord, Contact, Slot, StoredKey
from igstats_gateway.persons.planting import NAME, Canaries
from igstats_gateway.persons.servicer import ContactServicer
from igstats_gateway.persons.store import PersonStore
from igstats_gateway.store import Store, contact_id
from igstats_gateway.tables import accounts, api_keys, contacts, usage_days
from igstats_kit.clock import SystemClock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus, Event
from igstats_kit.holder import HolderRunner
from igstats_kit.receipt import Signer
from igstats_kit.retention import RetentionWorker
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.conformance import Candidate, Conformance
from igstats_kit.testing.coordinator import ERASURE, Coordinator, Person, offer
from igstats_kit.testing.nats import Nats
from igstats_kit.tokens import Tokens
from nats.aio.client import Client
from sqlalchemy import select

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]

TOKENS = Tokens(b"t" * 32)
PEPPER = Pepper(b"p" * 32)
METHOD = "/igstats.api.v1.StatsService/GetProfile"


def _account_id(number: int) -> str:
    return f"acc_{number:026d}"


def _mail(number: int) -> str:
    return f"person-{number}@example.com"


def an_account(number: int) -> Person:
    """A customer: everything below is theirs."""
    return Person({"ACCOUNT_ID": _account_id(number)}, (_mail(number), f"Company-{number}-Ltd", f"Street-{number}-A"))


def a_contact(number: int) -> Person:
    """A contact person of a customer: the account stays."""
    return Person({"CONTACT_ID": contact_id(_account_id(number), 1)}, (_mail(number), f"Name-{number}-Doe"))


class World:
    """A gateway's database with its surroundings."""

    def __init__(self, database: Database, bus: Bus, operator: Client) -> None:
        self.database = database
        self.bus = bus
        self.operator = operator
        self.coordinator = Coordinator(TOKENS)
        self.clock = SystemClock()
        self.store = Store(database, TOKENS)
        key = Ed25519PrivateKey.generate()
        self.signer = Signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def build(self, database: Database) -> HolderRunner:
        subjects = Subjects(DECLARATIONS, Sealer(b"s" * 32))
        return HolderRunner("gateway", subjects, database, self.bus, self.coordinator.stub, self.signer, self.clock)

    async def seed(self, person: Person) -> None:
        """An account with a contact, bills, a key, usage and an idempotency record."""
        number = int(next(iter(person.identifiers.values()))[4:].removesuffix("_1"))
        account_id, now, key = _account_id(number), self.clock.now(), make()
        contact = Contact(contact_id(account_id, 1), _mail(number), f"Name-{number}-Doe")
        billing = Billing(f"Payer-{number}", f"Street-{number}-A", f"VAT-{number}")
        account = Account(account_id, f"Company-{number}-Ltd", now, (contact,), billing)
        stored = StoredKey(key.key_id, account_id, PEPPER.digest(key), "label", ("stats:read",), now)
        await self.store.create_account(account, stored, ["minute"])
        call = CallRecord(f"req_{number}", account_id, key.key_id, METHOD, "http", 0, "", now, 1, b"")
        await self.store.write_records(key.key_id, [call])
        await self.store.claim(Slot(account_id, METHOD, b"k", now), b"r", now, alive_since=now)

    async def erase(self, person: Person) -> None:
        """All phases of an erasure, at the real holder."""
        runner = self.build(self.database)
        await runner.register()
        for task_id in self.coordinator.plan("gateway", "req_canary", person, ERASURE, Right.RIGHT_ERASURE):
            data = offer("gateway", [task_id])
            subject, kind = "igstats.privacy.v1.task.gateway", "igstats.event.v1.TasksOffered"
            await runner.handle([Event(task_id, subject, kind, datetime.now(UTC), data)])

    async def check(self, person: Callable[[int], Person]) -> dict[str, str]:
        candidate = Candidate("gateway", DECLARATIONS, self.database, self.build, self.seed, person)
        failures = await Conformance(candidate, self.coordinator, self.bus, self.operator).check()
        return {failure.rule: failure.message for failure in failures}


@pytest.fixture
async def world(database: MakeDatabase, bus: MakeBus, nats: Nats, certificates: Authority) -> AsyncIterator[World]:
    async with nats.operator(certificates.issue("operator")) as operator:
        yield World(await database("gateway"), await bus("gateway"), operator)


async def test_a_customer_is_erased_everywhere_and_stays_away(world: World) -> None:
    assert await world.check(an_account) == {}


async def test_a_contact_person_is_erased_everywhere_and_stays_away(world: World) -> None:
    assert await world.check(a_contact) == {}


async def test_a_canary_is_planted_once_erased_like_everybody_and_kept_out(world: World) -> None:
    persons = PersonStore(world.database, TOKENS)
    canaries = Canaries(persons, Registration(world.store, PEPPER, world.clock))
    servicer: Any = ContactServicer(persons, canaries)
    asked = PlantCanaryRequest(email=f"canary-{'0a' * 16}@canary.invalid")
    account_id = (await servicer.PlantCanary(asked, None)).account_id
    assert (await servicer.PlantCanary(asked, None)).account_id == account_id
    async with world.database.read() as connection:
        assert (await connection.execute(select(accounts.c.company))).scalars().all() == [NAME]
        assert (await connection.execute(select(contacts.c.name, contacts.c.email))).all() == [(NAME, asked.email)]
        assert (await connection.execute(select(api_keys.c.scopes))).scalars().all() == [[]], "its key may do nothing"
    await world.erase(Person({"ACCOUNT_ID": account_id, "EMAIL": asked.email}, (asked.email,)))
    with pytest.raises(DomainError) as refused:
        await servicer.PlantCanary(asked, None)
    assert refused.value.reason is Reason.SUBJECT_ERASED
    async with world.database.read() as connection:
        for table in (accounts, contacts, api_keys):
            assert (await connection.execute(select(table))).all() == [], table.name


async def test_usage_goes_after_a_year_and_idempotency_records_after_a_day(world: World) -> None:
    await world.seed(an_account(1))
    clock = FakeClock(world.clock.now())
    worker = RetentionWorker("gateway", DECLARATIONS, world.database, clock)
    removed = {one.store: one.removed for one in await worker.run_once()}
    assert removed["idempotency_records"] == removed["usage_days"] == 0
    clock.advance(timedelta(days=1, seconds=1))
    removed = {one.store: one.removed for one in await worker.run_once()}
    assert (removed["idempotency_records"], removed["usage_days"]) == (1, 0)
    clock.advance(timedelta(days=364))
    removed = {one.store: one.removed for one in await worker.run_once()}
    assert removed["usage_days"] == 1
    async with world.database.read() as connection:
        assert (await connection.execute(select(usage_days))).all() == []
