import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from igstats_gateway.authentication import REMEMBER, Authentication
from igstats_gateway.door import Door
from igstats_gateway.keys import Pepper, make
from igstats_gateway.limits import AddressLimits, Limits, minute
from igstats_gateway.metering import Metering
from igstats_gateway.model import Call, CallRecord, Client, Policy, Rule, Spending, StoredKey
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.identity import _CALL_ID
from igstats_kit.seal import Sealer
from igstats_kit.testing.clock import FakeClock

UNITS = 3  # calls without a valid key that an address may make
READ = Rule("stats:read", 3, signature_required=False)


class World:
    """A door, one key, an allowance that tests set."""

    def __init__(self) -> None:
        self.clock, self.key, pepper = FakeClock(), make(), Pepper(b"p" * 32)
        digest = pepper.digest(self.key)
        self.stored = StoredKey(self.key.key_id, "acc_1", digest, "", ("stats:read",), self.clock.now())
        self.left = 10
        self.spent: list[tuple[str, int]] = []
        self.records: list[CallRecord] = []

        self.asked: list[str] = []

        async def find(key_id: str) -> StoredKey | None:
            self.asked.append(key_id)
            return self.stored if key_id == self.stored.key_id else None

        self.metering = Metering(self.write, Sealer(b"a" * 32), self.clock)
        limits = Limits(self.spend, minute(60), self.clock)
        self.opted_out: list[str] = []
        authentication = Authentication(find, pepper, self.clock)
        strangers = AddressLimits(minute(UNITS), self.clock)
        self.door = Door(authentication, limits, strangers, self.metering, self.clock, self.opted_out.append)

    async def spend(self, account_id: str, policy: Policy, cost: int, _now: datetime) -> Spending:
        self.spent.append((account_id, cost))
        return Spending(policy, cost <= self.left, cost, 0.0)

    async def write(self, batch_id: str, records: Sequence[CallRecord], *, settled: str) -> int:
        assert batch_id != settled
        self.records += records
        return 0

    def revoke(self) -> None:
        """The key ends, and what is remembered of it has gone."""
        self.stored = replace(self.stored, revoked_time=self.clock.now())
        self.clock.advance(REMEMBER)

    async def knock(self, header: str, address: str = "192.0.2.1") -> Reason | None:
        """One call from its beginning to its record; the reason if it was refused."""
        call = self.door.open("http", Client(address))
        try:
            await self.door.admit(call, READ, header)
        except DomainError as error:
            call.fail(16, error.reason)
            return error.reason
        finally:
            self.door.close(call)
        return None

    async def refusal(self, rule: Rule, header: str | None = None) -> tuple[Reason, Call]:
        call = self.door.open("http", Client())
        with pytest.raises(DomainError) as caught:
            await self.door.admit(call, rule, f"Bearer {self.key.text}" if header is None else header)
        return caught.value.reason, call


async def test_a_call_that_is_let_in_knows_its_caller_and_what_is_left() -> None:
    world = World()
    call = world.door.open("http", Client())
    await world.door.admit(call, READ, f"Bearer {world.key.text}")
    assert call.admitted.account_id == "acc_1"
    assert call.spending is not None
    assert world.spent == [("acc_1", 3)]
    assert call.scope == "stats:read"


async def test_a_call_id_is_one_that_the_services_take() -> None:
    assert _CALL_ID.fullmatch(World().door.open("http", Client()).call_id)


async def test_who_is_unknown_or_lacks_the_scope_spends_nothing() -> None:
    world = World()
    assert (await world.refusal(READ, ""))[0] is Reason.API_KEY_MISSING
    reason, call = await world.refusal(Rule("privacy:write", 1, signature_required=False))
    assert reason is Reason.SCOPE_MISSING
    assert call.account_id == "acc_1"
    assert world.spent == []


async def test_a_method_that_wants_a_signature_gets_none_yet() -> None:
    assert (await World().refusal(Rule("stats:read", 1, signature_required=True)))[0] is Reason.SIGNATURE_REQUIRED


async def test_a_refused_allowance_is_told_to_the_caller() -> None:
    world = World()
    world.left = 0
    reason, call = await world.refusal(READ)
    assert reason is Reason.RATE_LIMITED
    assert call.spending is not None


async def test_closing_a_call_meters_it_with_its_end() -> None:
    world = World()
    call = world.door.open("grpc", Client())
    call.fail(16, "API_KEY_MISSING")
    world.door.close(call)
    await world.metering.flush()
    assert [(one.call_id, one.status, one.reason) for one in world.records] == [(call.call_id, 16, "API_KEY_MISSING")]


@pytest.mark.parametrize("header", ["", "Bearer igs_live_mistyped", "a fresh key each time"])
async def test_an_address_without_a_key_has_an_allowance_and_what_is_beyond_is_counted_only(header: str) -> None:
    world = World()
    given = [header if "fresh" not in header else f"Bearer {make().text}" for _ in range(10)]
    reasons = [await world.knock(one) for one in given]
    assert Reason.RATE_LIMITED not in reasons[:UNITS]
    assert set(reasons[UNITS:]) == {Reason.RATE_LIMITED}
    assert len(world.asked) <= UNITS
    await world.metering.flush()
    assert len(world.records) == UNITS
    world.clock.advance(timedelta(minutes=1))
    assert await world.knock(given[0]) is reasons[0]


async def test_calls_at_once_do_not_get_past_the_allowance() -> None:
    world = World()
    await asyncio.gather(*(world.knock(f"Bearer {make().text}") for _ in range(10)))
    assert len(world.asked) == UNITS


async def test_a_key_that_was_accepted_here_works_from_an_address_that_has_no_allowance_left() -> None:
    world, key = World(), f"Bearer {make().text}"
    own = f"Bearer {world.key.text}"
    assert await world.knock(own) is None
    for _ in range(10):
        await world.knock(key)
    assert await world.knock(key) is Reason.RATE_LIMITED
    assert await world.knock(own) is None
    assert await world.knock(key, "192.0.2.2") is Reason.API_KEY_UNKNOWN


async def test_a_key_that_was_accepted_spends_like_a_strangers_when_it_is_revoked() -> None:
    world = World()
    own = f"Bearer {world.key.text}"
    assert await world.knock(own) is None
    world.revoke()
    reasons = [await world.knock(own) for _ in range(UNITS + 1)]
    assert reasons == [Reason.API_KEY_REVOKED] * (UNITS - 1) + [Reason.RATE_LIMITED] * 2


async def test_the_refused_hear_when_to_come_back() -> None:
    world = World()
    for _ in range(UNITS):
        await world.knock("")
    call = world.door.open("http", Client("192.0.2.1"))
    with pytest.raises(DomainError) as caught:
        await world.door.admit(call, READ, "")
    assert (caught.value.reason, caught.value.retry_after) == (Reason.RATE_LIMITED, 60 / UNITS)
    assert call.spending is not None


async def test_unknown_methods_of_strangers_fill_the_log_no_further_than_other_calls() -> None:
    world = World()
    for _ in range(10):
        world.door.close(world.door.open("http", Client("192.0.2.1")))
    await world.metering.flush()
    assert len(world.records) == UNITS
