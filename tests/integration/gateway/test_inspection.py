"""What a security audit may know of keys: derived from the calls that the gateway recorded."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from igstats.gateway.v1.inspection_service_pb2 import KeyFacts, ListKeyFactsRequest
from igstats.gateway.v1.inspection_service_pb2_grpc import (
    InspectionServiceStub,
    add_InspectionServiceServicer_to_server,
)
from igstats_gateway.access import ACCESS
from igstats_gateway.accounts import NewAccount, Registration
from igstats_gateway.inspection_servicer import InspectionServicer
from igstats_gateway.inspection_store import InspectionStore
from igstats_gateway.keys import Pepper
from igstats_gateway.model import CallRecord, Contact
from igstats_gateway.store import Store
from igstats_kit.client import Channels
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError, Reason
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens

MakeDatabase = Callable[[str], Awaitable[Database]]
SCOPES = ["stats:read", "privacy:read", "account:read"]


class World:
    """A gateway's database with accounts that call."""

    def __init__(self, database: Database) -> None:
        self.clock = FakeClock()
        self.store = Store(database, Tokens(b"t" * 32))
        self.facts = InspectionStore(database).key_facts
        self._registration = Registration(self.store, Pepper(b"p" * 32), self.clock)
        self._batches = 0

    async def register(self, email: str = "ann@example.com") -> NewAccount:
        return await self._registration.create("Ann's", Contact("", email, "Ann"), SCOPES, None)

    async def call(self, made: NewAccount, *scopes: str) -> None:
        self._batches += 1
        now = self.clock.now()
        records = [
            CallRecord(
                f"req_{self._batches}_{place}",
                made.account_id,
                made.key_id,
                "/a.B/C",
                "http",
                0,
                "",
                now,
                9,
                b"",
                scope,
            )
            for place, scope in enumerate(scopes)
        ]
        await self.store.write_records(f"b{self._batches}", records)


@pytest.fixture
async def world(database: MakeDatabase) -> World:
    return World(await database("gateway"))


async def test_the_scopes_that_calls_have_needed_add_up(world: World) -> None:
    made = await world.register()
    assert [(key.used_scopes, key.last_used_day) for key in await world.facts("", 9)] == [((), None)]
    await world.call(made, "stats:read", "stats:read", "")
    await world.call(made, "account:read", "stats:read")
    (key,) = await world.facts("", 9)
    assert (key.scopes, key.used_scopes) == (tuple(SCOPES), ("account:read", "stats:read"))
    assert key.last_used_day == world.clock.now().date()


async def test_a_call_that_lacked_its_scope_uses_the_key_and_no_scope(world: World) -> None:
    made = await world.register()
    await world.call(made, "")
    (key,) = await world.facts("", 9)
    assert (key.used_scopes, key.last_used_day) == ((), world.clock.now().date())


async def test_keys_of_one_batch_do_not_mix(world: World) -> None:
    ann, bob = await world.register(), await world.register("bob@example.com")
    await world.call(ann, "stats:read")
    await world.call(bob, "account:read")
    found = {key.key_id: key.used_scopes for key in await world.facts("", 9)}
    assert found == {ann.key_id: ("stats:read",), bob.key_id: ("account:read",)}


async def list_facts(config: ServiceConfig, caller: ServiceConfig, world: World, size: int) -> list[list[KeyFacts]]:
    """All pages, asked for by a service."""
    rpc = RpcServer(config, {method: row for method, row in ACCESS.items() if "InspectionService" in method})
    add_InspectionServiceServicer_to_server(InspectionServicer(world.facts), rpc.server)
    channels = Channels(caller)
    pages: list[list[KeyFacts]] = []
    token = ""
    try:
        stub: Any = InspectionServiceStub(channels.to("gateway", f"127.0.0.1:{await rpc.start()}"))
        while not pages or token:
            answer = await stub.ListKeyFacts(ListKeyFactsRequest(page_size=size, page_token=token))
            pages.append(list(answer.keys))
            token = answer.next_page_token
    finally:
        await channels.close()
        await rpc.stop(0)
    return pages


def as_service(config: ServiceConfig, certificates: Authority, service: str) -> ServiceConfig:
    issued = certificates.issue(service)
    return config.model_copy(update={"tls_cert": issued.certificate, "tls_key": issued.key})


async def test_audit_reads_every_key_in_pages(
    world: World, config: Callable[[str], Awaitable[ServiceConfig]], certificates: Authority
) -> None:
    made = [await world.register(f"{name}@example.com") for name in ("ann", "bob", "eve")]
    own = await config("gateway")
    pages = await list_facts(own, as_service(own, certificates, "audit"), world, 2)
    assert [len(page) for page in pages] == [2, 1]
    assert [key.key_id for page in pages for key in page] == sorted(one.key_id for one in made)


async def test_nobody_but_audit_reads_them(
    world: World, config: Callable[[str], Awaitable[ServiceConfig]], certificates: Authority
) -> None:
    own = await config("gateway")
    with pytest.raises(DomainError) as refused:
        await list_facts(own, as_service(own, certificates, "stats"), world, 2)
    assert refused.value.reason is Reason.CALLER_NOT_ALLOWED
