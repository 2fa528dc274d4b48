"""What privacy may know of the persons at our customers."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from igstats.gateway.v1.contact_service_pb2 import CountMatchesRequest, ListAddressesRequest
from igstats.gateway.v1.contact_service_pb2_grpc import ContactServiceStub, add_ContactServiceServicer_to_server
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats_gateway.access import ACCESS
from igstats_gateway.accounts import NewAccount, Registration
from igstats_gateway.keys import Pepper
from igstats_gateway.model import Billing, Contact
from igstats_gateway.persons.planting import Canaries
from igstats_gateway.persons.servicer import ContactServicer
from igstats_gateway.persons.store import PersonStore
from igstats_gateway.store import Store
from igstats_gateway.tables import contacts
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.tables import restrictions, tombstones
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens, email_sha256
from sqlalchemy import insert, update

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeConfig = Callable[[str], Awaitable[ServiceConfig]]
ADA = "ada@example.com"
BILLING = Billing("Engines Ltd", "12 St James's Square", "GB123456782")


def named(kind: str, value: str) -> Identifier:
    return Identifier(kind=IdentifierKind.Value(f"IDENTIFIER_KIND_{kind}"), value=value)


class World:
    """A gateway's database with accounts."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock, self.tokens = FakeClock(), Tokens(b"t" * 32)
        self.store = Store(database, self.tokens)
        self.persons = PersonStore(database, self.tokens)
        self._registration = Registration(self.store, Pepper(b"p" * 32), self.clock)
        self.servicer = ContactServicer(self.persons, Canaries(self.persons, self._registration))

    async def register(self, email: str = ADA, name: str = "Ada") -> NewAccount:
        return await self._registration.create("Engines", Contact("", email, name), ["stats:read"], BILLING)

    async def addresses(self, *identifiers: Identifier) -> list[str]:
        servicer: Any = self.servicer
        answer = await servicer.ListAddresses(ListAddressesRequest(identifiers=identifiers), None)
        return [one.email for one in answer.addresses]

    async def count(self, who: Identifier, **points: str) -> int:
        servicer: Any = self.servicer
        answer = await servicer.CountMatches(CountMatchesRequest(identifiers=[who], points=points), None)
        matched: int = answer.matched
        return matched


@pytest.fixture
async def world(database: MakeDatabase) -> World:
    return World(await database("gateway"))


async def test_a_person_is_found_by_every_name(world: World) -> None:
    made = await world.register()
    await world.register("bob@example.com", "Bob")
    names = {
        "ACCOUNT_ID": made.account_id,
        "CONTACT_ID": made.contact_id,
        "EMAIL": "ADA@example.com",
        "EMAIL_SHA256": email_sha256(ADA).upper(),
    }
    for kind, value in names.items():
        assert await world.addresses(named(kind, value)) == [ADA], kind
    assert await world.addresses(named("EMAIL", "eve@example.com")) == []


async def test_facts_are_counted_for_the_person_who_is_named(world: World) -> None:
    made = await world.register()
    stated = {"company": "engines", "vat_number": "GB 1234 56782", "contact_name": "Bob", "key_id": made.key_id}
    assert await world.count(named("EMAIL", ADA), **stated) == 3
    assert await world.count(named("EMAIL_SHA256", email_sha256(ADA)), **stated) == 3
    assert await world.count(named("EMAIL", "eve@example.com"), **stated) == 0


@pytest.mark.parametrize("table", [restrictions, tombstones], ids=["restricted", "erased"])
async def test_who_may_not_be_written_to_is_left_out(world: World, table: Any) -> None:
    await world.register()
    async with world.database.transaction() as connection:
        row = {"token": world.tokens.of("EMAIL", ADA), "request_id": "req_1"}
        await connection.execute(insert(table).values(row))
    assert await world.addresses(named("EMAIL", ADA)) == []
    assert await world.count(named("EMAIL", ADA), company="Engines") == 1, "one can still prove who one is"


async def test_contacts_of_older_code_are_found_by_the_hash_after_the_next_start(world: World) -> None:
    await world.register()
    async with world.database.transaction() as connection:
        await connection.execute(update(contacts).values(hash_token=None))
    hashed = named("EMAIL_SHA256", email_sha256(ADA))
    assert await world.addresses(hashed) == []
    assert (await world.persons.complete(), await world.persons.complete()) == (1, 0)
    assert await world.addresses(hashed) == [ADA]


async def test_whoever_was_erased_by_the_hash_of_the_address_does_not_come_back_with_the_address(world: World) -> None:
    async with world.database.transaction() as connection:
        token = world.tokens.of("EMAIL_SHA256", email_sha256(ADA))
        await connection.execute(insert(tombstones).values(token=token, request_id="req_1"))
    with pytest.raises(DomainError) as refused:
        await world.register()
    assert refused.value.reason is Reason.SUBJECT_ERASED


async def test_privacy_asks_and_nobody_else(world: World, config: MakeConfig, certificates: Authority) -> None:
    await world.register()
    own = await config("gateway")
    rpc = RpcServer(own, {method: row for method, row in ACCESS.items() if "ContactService" in method})
    add_ContactServiceServicer_to_server(world.servicer, rpc.server)
    port = await rpc.start()
    reasons = {}
    for caller in ("privacy", "stats"):
        issued = certificates.issue(caller)
        channels = Channels(own.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key}))
        stub: Any = ContactServiceStub(channels.to("gateway", f"127.0.0.1:{port}"))
        asked = CountMatchesRequest(identifiers=[named("EMAIL", ADA)], points={"company": "Engines"})
        try:
            reasons[caller] = (await stub.CountMatches(asked)).matched
        except DomainError as error:
            reasons[caller] = error.reason
        finally:
            await channels.close()
    await rpc.stop(0)
    assert reasons == {"privacy": 1, "stats": Reason.CALLER_NOT_ALLOWED}
