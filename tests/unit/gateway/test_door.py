from collections.abc import Sequence
from datetime import datetime

import pytest
from igstats_gateway.authentication import Authentication
from igstats_gateway.door import Door
from igstats_gateway.keys import Pepper, make
from igstats_gateway.limits import Limits, minute
from igstats_gateway.metering import Metering
from igstats_gateway.model import Call, CallRecord, Client, Policy, Rule, Spending, StoredKey
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.identity import _CALL_ID
from igstats_kit.seal import Sealer
from igstats_kit.testing.clock import FakeClock

READ = Rule("stats:read", 3, signature_required=False)


class World:
    """A door, one key, an allowance that tests set."""

    def __init__(self) -> None:
        self.clock, self.key, pepper = FakeClock(), make(), Pepper(b"p" * 32)
        stored = StoredKey(self.key.key_id, "acc_1", pepper.digest(self.key), "", ("stats:read",), self.clock.now())
        self.left = 10
        self.spent: list[tuple[str, int]] = []
        self.records: list[CallRecord] = []

        async def find(_key_id: str) -> StoredKey:
            return stored

        self.metering = Metering(self.write, Sealer(b"a" * 32), self.clock)
        limits = Limits(self.spend, minute(60), self.clock)
        self.opted_out: list[str] = []
        authentication = Authentication(find, pepper, self.clock)
        self.door = Door(authentication, limits, self.metering, self.clock, self.opted_out.append)

    async def spend(self, account_id: str, policy: Policy, cost: int, _now: datetime) -> Spending:
        self.spent.append((account_id, cost))
        return Spending(policy, cost <= self.left, cost, 0.0)

    async def write(self, batch_id: str, records: Sequence[CallRecord], *, settled: str) -> int:
        assert batch_id != settled
        self.records += records
        return 0

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
