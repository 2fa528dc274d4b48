"""Planted canaries on a real database: what proves an erasure, what does not, and what a death changes."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.canaries.planting import Planting
from igstats_privacy.canaries.tables import canaries
from igstats_privacy.model import NewRequest, Shown
from igstats_privacy.records import store as records
from igstats_privacy.requests import Requests
from igstats_privacy.tables import requests
from sqlalchemy import select

from tests.integration.privacy.conftest import Office

DAY = timedelta(hours=24)
PROOF = {"result": "PROVED", "reason": ""}


class DeathError(Exception):
    """The process ends here."""


@dataclass
class FakeGateway:
    """Persons on file, a fence, and a process that asks and may die before or after any answer."""

    on_file: dict[str, str] = field(default_factory=dict)
    fenced: set[str] = field(default_factory=set)
    fence_holds: bool = True
    planted: int = 0
    asked: int = 0
    dies_after: int = -1

    async def plant(self, address: str) -> str:
        if address in self.fenced and self.fence_holds:
            self._count()
            raise DomainError(Reason.SUBJECT_ERASED)
        if address not in self.on_file:
            self.planted += 1
            self.on_file[address] = f"acc_{self.planted:026d}"
        self._count()
        return self.on_file[address]

    async def is_on_file(self, address: str) -> bool:
        self._count()
        return address in self.on_file

    def erase(self) -> None:
        self.fenced |= set(self.on_file)
        self.on_file.clear()

    def _count(self) -> None:
        self.asked += 1
        if self.asked == self.dies_after:
            raise DeathError


class DyingRequests:
    """Opens requests, and the process ends before it knows."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def open(self, new: NewRequest) -> Shown:
        await self._requests.open(new)
        raise DeathError


class World:
    """An office with two holders, one of them the gateway."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.gateway = FakeGateway()
        self.planting = self.replica()

    def replica(self, requests: Any = None) -> Planting:
        office = self.office
        asked = requests or office.requests
        return Planting(office.database, asked, office.registry, self.gateway, office.sealer, office.clock)

    async def holders_work(self, *, rows: int = 2, gateway: Outcome.ValueType | None = None) -> None:
        """Every holder does what it is offered; the gateway says that it erased so many rows, or the outcome given."""
        await self.office.triage.run_once()
        for _ in range(4):
            for name, task_ids in (await self.office.offered()).items():
                holder, signed = self.office.holders[name], []
                for one in await self.office.leases.lease(name, task_ids):
                    receipt = holder.receipt(str(one.task), Right.RIGHT_ERASURE)
                    if name == "gateway" and receipt.phase in {Phase.PHASE_ERASE, Phase.PHASE_ATTEST}:
                        receipt.outcome = gateway or receipt.outcome
                        receipt.counts.add(store="contacts", count=rows)
                    signed.append(holder.signer.sign(receipt))
                await self.office.consumer.handle([holder.event(signed)])

    async def results(self) -> list[dict[str, str]]:
        """What the evidence log was told, once each."""
        made = [one for data in await self.office.posted(RecordMade) for one in RecordMade.FromString(data).records]
        told = [json.loads(one.payload_json) for one in made if one.kind == "probe.canary"]
        return [{name: one[name] for name in ("result", "reason")} for one in told]

    async def rows(self) -> list[Any]:
        async with self.office.database.read() as connection:
            return list((await connection.execute(select(canaries))).all())

    async def request_count(self) -> int:
        async with self.office.database.read() as connection:
            return len((await connection.execute(select(requests).where(requests.c.door == "canary"))).all())


@pytest.fixture
async def world(office: Office) -> World:
    await office.register("gateway", "stats")
    office.clock.advance(timedelta(seconds=1))
    return World(office)


async def test_a_canary_is_planted_erased_and_kept_out(world: World) -> None:
    await world.planting.run_once(DAY)
    await world.planting.run_once(DAY)
    assert await world.results() == [], "its holders have not spoken"
    await world.holders_work()
    world.gateway.erase()
    await world.planting.run_once(DAY)
    assert await world.results() == [PROOF]
    (row,) = await world.rows()
    assert (row.result, row.sealed, row.ended_at) == ("PROVED", None, world.office.clock.now())
    async with world.office.database.read() as connection:
        assert await records.page(connection, 10, after=None, start=None, end=None) == [], "nobody asked for it"


async def test_a_day_has_one_canary_and_the_next_day_another(world: World) -> None:
    for _ in range(2):
        await world.planting.run_once(DAY)
        await world.holders_work()
        world.gateway.erase()
        for _ in range(3):
            await world.planting.run_once(DAY)
        world.office.clock.advance(DAY)
    assert await world.results() == [PROOF, PROOF]
    assert world.gateway.planted == 2


async def test_a_gateway_that_found_nobody_proves_nothing(world: World) -> None:
    await world.planting.run_once(DAY)
    await world.holders_work(rows=0, gateway=Outcome.OUTCOME_NOT_HELD)
    world.gateway.erase()
    await world.planting.run_once(DAY)
    assert await world.results() == [{"result": "VIOLATED", "reason": "gateway did not find the person"}]


async def test_receipts_are_not_believed_while_the_person_is_on_file(world: World) -> None:
    await world.planting.run_once(DAY)
    await world.holders_work()
    await world.planting.run_once(DAY)
    assert await world.results() == [{"result": "VIOLATED", "reason": "still on file after the erasure"}]


async def test_a_person_who_can_come_back_was_not_erased(world: World) -> None:
    await world.planting.run_once(DAY)
    await world.holders_work()
    world.gateway.erase()
    world.gateway.fence_holds = False
    await world.planting.run_once(DAY)
    assert await world.results() == [{"result": "VIOLATED", "reason": "accepted again after the erasure"}]


async def test_a_canary_that_does_not_end_in_time_is_a_violation(world: World) -> None:
    await world.planting.run_once(DAY)
    world.office.clock.advance(DAY)
    await world.planting.run_once(DAY)
    assert await world.results() == [{"result": "VIOLATED", "reason": "not ended in time"}]
    assert (await world.rows())[0].sealed is None


@pytest.mark.parametrize("asked", range(1, 5), ids=["planted", "found", "looked for", "refused"])
async def test_a_death_at_any_question_plants_nobody_twice(world: World, asked: int) -> None:
    world.gateway.dies_after = asked
    await _until_death(world.planting.run_once if asked <= 2 else _whole(world), world)
    world.planting = world.replica()
    await _whole(world)(DAY)
    assert await world.results() == [PROOF]
    assert (world.gateway.planted, await world.request_count()) == (1, 1)


async def test_a_death_after_the_request_was_opened_opens_no_other(world: World) -> None:
    await _until_death(world.replica(DyingRequests(world.office.requests)).run_once, world)
    await world.holders_work()
    world.gateway.erase()
    await world.planting.run_once(DAY)
    assert await world.results() == [PROOF]
    assert (world.gateway.planted, await world.request_count()) == (1, 1)


async def test_of_two_replicas_one_plants(world: World) -> None:
    other = world.replica()
    await asyncio.gather(world.planting.run_once(DAY), other.run_once(DAY))
    assert (len(await world.rows()), world.gateway.planted, await world.request_count()) == (1, 1, 1)


async def test_an_operator_runs_one_at_any_time_or_follows_the_one_that_lives(world: World) -> None:
    canary_id = await world.planting.by_hand(DAY)
    assert await world.replica().by_hand(DAY) == canary_id
    await world.planting.go_on(canary_id)
    await world.holders_work()
    world.gateway.erase()
    assert (await world.planting.go_on(canary_id)).result == "PROVED"
    assert (await world.planting.go_on(canary_id)).result == "PROVED", "an end stays"
    assert await world.planting.by_hand(DAY) != canary_id
    assert await world.results() == [PROOF]


def _whole(world: World) -> Callable[[timedelta], Any]:
    async def run(every: timedelta) -> None:
        await world.planting.run_once(every)
        await world.holders_work()
        world.gateway.erase()
        await world.planting.run_once(every)

    return run


async def _until_death(run: Callable[[timedelta], Any], world: World) -> None:
    with pytest.raises(DeathError):
        await run(DAY)
    assert await world.results() == []
