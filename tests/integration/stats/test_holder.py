"""Stats is a holder like any other: the conformance suite, run against its own ingress, for both kinds of person."""

from collections.abc import Awaitable, Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_kit.clock import SystemClock
from igstats_kit.events import Bus
from igstats_kit.holder import HolderRunner
from igstats_kit.receipt import Signer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.conformance import Candidate, Conformance, Failure
from igstats_kit.testing.coordinator import Coordinator, Person
from igstats_kit.testing.nats import Nats
from igstats_stats.tables import DECLARATIONS

from tests.integration.stats.conftest import World

MakeBus = Callable[[str], Awaitable[Bus]]


async def check(
    world: World,
    nats: Nats,
    certificates: Authority,
    speaker: Bus,
    *,
    person: Callable[[int], Person],
    seed: Callable[[Person], Awaitable[None]],
) -> list[Failure]:
    coordinator = Coordinator(world.tokens)
    key = Ed25519PrivateKey.generate()
    signer = Signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def build(store: Database) -> HolderRunner:
        return HolderRunner("stats", world.subjects, store, speaker, coordinator.stub, signer, SystemClock())

    candidate = Candidate("stats", DECLARATIONS, world.database, build, seed, person)
    async with nats.operator(certificates.issue("operator")) as operator:
        return await Conformance(candidate, coordinator, speaker, operator).check()


async def test_stats_passes_the_conformance_suite_for_owners_of_profiles(
    world: World, bus: MakeBus, nats: Nats, certificates: Authority
) -> None:
    def person(number: int) -> Person:
        found = world.person(number)
        return Person({"INSTAGRAM_USER_ID": found.user_id, "USERNAME": found.username}, (found.user_id, found.username))

    async def seed(person: Person) -> None:
        found = next(each for each in world.emulator.people.all if each.user_id in person.needles)
        await world.connect_and_sync(found)

    assert await check(world, nats, certificates, await bus("stats"), person=person, seed=seed) == []


async def test_stats_passes_the_conformance_suite_for_owners_of_accounts(
    world: World, bus: MakeBus, nats: Nats, certificates: Authority
) -> None:
    def person(number: int) -> Person:
        account = f"acc_{number:026}"
        return Person({"ACCOUNT_ID": account}, (account,))

    async def seed(person: Person) -> None:
        await world.connect(world.person(), person.identifiers["ACCOUNT_ID"])

    assert await check(world, nats, certificates, await bus("stats"), person=person, seed=seed) == []
