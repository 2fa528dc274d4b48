"""Audit is a holder like any other: the conformance suite, run against its own ingress."""

import json
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats_audit.revealing import RevealedCalls
from igstats_audit.tables import DECLARATIONS
from igstats_kit.clock import SystemClock
from igstats_kit.events import Bus
from igstats_kit.holder import HolderRunner
from igstats_kit.receipt import Signer
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.conformance import Candidate, Conformance
from igstats_kit.testing.coordinator import Coordinator, Person
from igstats_kit.testing.nats import Nats

from tests.integration.audit.conftest import TOKENS, World, call

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]

REST = Sealer(b"r" * 32)


def somebody(number: int) -> Person:
    account = f"acc_{number:026}"
    return Person({"ACCOUNT_ID": account}, (account,))


async def test_audit_passes_the_conformance_suite(
    database: MakeDatabase, bus: MakeBus, nats: Nats, certificates: Authority, tmp_path: Path
) -> None:
    own, speaker, calls = await database("audit"), await bus("audit"), count()
    world = World(own, tmp_path)
    coordinator = Coordinator(TOKENS)
    key = Ed25519PrivateKey.generate()
    signer = Signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    async def seed(person: Person) -> None:
        account = person.identifiers["ACCOUNT_ID"]
        await world.call(call(f"req_{account}_{next(calls)}", account))  # all else of a call is sealed

    def build(store: Database) -> HolderRunner:
        openers = {"calls": RevealedCalls(world.access.store.entries)}
        subjects = Subjects(DECLARATIONS, REST, openers)
        return HolderRunner("audit", subjects, store, speaker, coordinator.stub, signer, SystemClock())

    candidate = Candidate("audit", DECLARATIONS, own, build, seed, somebody)
    async with world.writing(), nats.operator(certificates.issue("operator")) as operator:
        assert await Conformance(candidate, coordinator, speaker, operator).check() == []


async def test_an_access_package_holds_what_is_sealed_and_nothing_of_the_neighbour(
    database: MakeDatabase, tmp_path: Path
) -> None:
    world = World(await database("audit"), tmp_path)
    async with world.writing():
        await world.call(call("req_1"), call("req_2", "acc_2"), call("req_3"))
    subjects = Subjects(DECLARATIONS, REST, {"calls": RevealedCalls(world.access.store.entries)})
    case = Case("req_x", (TOKENS.of("ACCOUNT_ID", "acc_1"),))
    async with world.database.transaction() as connection:
        found = [json.loads(one.content) async for one in subjects.export(connection, [case]) if one.store == "calls"]
    assert [row["call_id"] for row in found] == ["req_1", "req_3"]
    assert {(row["ip_address"], row["user_agent"]) for row in found} == {("192.0.2.7", "curl/8")}
