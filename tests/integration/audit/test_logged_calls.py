"""From the gateway's event to what a customer reads: sealed into the access log, found, and gone with its key."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from igstats_audit.call_query import CallFilter, PageTokens
from igstats_audit.call_search import Asker, CallSearch
from igstats_audit.call_store import CallStore
from igstats_audit.model import CallRecord
from igstats_audit.tables import CALL_DAYS
from igstats_kit.seal import Sealer
from igstats_kit.tokens import Tokens

# What conftest.py makes; a test folder is no package to import from.
World: TypeAlias = Any

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKENS, WAY = Tokens(b"s" * 32), Sealer(b"w" * 32)
GATEWAY, OFFICER = Asker("gateway", "req_asking"), Asker("operator", "req_asking")


def call(name: str, account_id: str = "acc_1", called_at: datetime = NOON, status: int = 0) -> CallRecord:
    sealed = WAY.seal(b'{"ip_address": "192.0.2.7", "user_agent": "curl/8"}', "access")
    return CallRecord(name, account_id, "key_1", "/a.B/C", "grpc", status, "", called_at, 1500, sealed)


@pytest.fixture
def search(world: World) -> CallSearch:
    store, read = CallStore(world.database, world.clock), world.access.store.entries
    return CallSearch(store, read, TOKENS, PageTokens(Sealer(b"r" * 32)), world.clock, days=CALL_DAYS)


async def exported(search: CallSearch, asker: Asker, wanted: CallFilter) -> list[dict[str, Any]]:
    whole = b"".join([part async for part in search.export(asker, wanted)])
    return [json.loads(line) for line in whole.splitlines()]


async def test_a_logged_call_is_read_by_its_account(world: World, search: CallSearch) -> None:
    later = NOON - timedelta(microseconds=1)
    async with world.writing():
        await world.call(
            call("req_1", called_at=later, status=5), call("req_2", "acc_2"), call("req_3"), call("req_4", "")
        )
    page = await search.search(GATEWAY, CallFilter("acc_1"), 0, "")
    assert [one.call_id for one in page.calls] == ["req_3", "req_1"]
    first = page.calls[1]
    assert (first.called_at, first.status, first.latency_us, first.index) == (later, 5, 1500, 0)
    assert (first.account_id, first.key_id, first.method) == ("acc_1", "key_1", "/a.B/C")
    assert (first.ip_address, first.user_agent) == ("192.0.2.7", "curl/8")


async def test_an_officer_reads_what_all_accounts_and_nobody_called(world: World, search: CallSearch) -> None:
    async with world.writing():
        await world.call(call("req_1"), call("req_2", "acc_2"), call("req_3", ""))
    found = await exported(search, OFFICER, CallFilter())
    assert [(one["callId"], one["accountId"]) for one in found] == [
        ("req_3", ""),
        ("req_2", "acc_2"),
        ("req_1", "acc_1"),
    ]


async def test_a_call_whose_key_is_gone_is_shown_to_nobody(world: World, search: CallSearch) -> None:
    async with world.writing():
        await world.call(call("req_1"), call("req_2", "acc_2"))
    token = TOKENS.of("ACCOUNT_ID", "acc_1")
    await world.tell(f"DELETE FROM data_keys WHERE subject = '{token.hex()}'")  # noqa: S608 - our own value
    assert [one["callId"] for one in await exported(search, OFFICER, CallFilter())] == ["req_2"]
    assert await exported(search, GATEWAY, CallFilter("acc_1")) == []


async def test_a_row_that_points_to_the_entry_of_another_account_shows_it_to_nobody(
    world: World, search: CallSearch
) -> None:
    async with world.writing():
        await world.call(call("req_1"), call("req_2", "acc_2"), call("req_3"))
    await world.tell("UPDATE calls SET index = 1 WHERE call_id = 'req_1'")
    assert [one["callId"] for one in await exported(search, GATEWAY, CallFilter("acc_1"))] == ["req_3"]
    assert [one["callId"] for one in await exported(search, OFFICER, CallFilter())] == ["req_3", "req_2"]
