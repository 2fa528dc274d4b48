"""California's DROP on the real stack: what consumers ask at the platform happens, whenever the gateway is killed."""

import io
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from igstats_dev.crowd import Somebody
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import running
from igstats_gateway.tables import contacts
from igstats_kit.tokens import email_sha256
from rich.console import Console
from sqlalchemy import func, insert, select, text

from tests.e2e.conftest import World, eventually, privacy_channels

pytestmark = [pytest.mark.xdist_group("doors"), pytest.mark.timeout(300)]

PERSONS = 40


class Platform:
    """The emulator of the stack, as consumers and its makers see it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, addresses: Sequence[str]) -> list[str]:
        async with self._session.post("/_consumers", json={"addresses": addresses}) as answer:
            items: list[str] = (await answer.json())["item_ids"]
        return items

    async def fault(self, kind: str, where: str) -> None:
        async with self._session.post("/_faults", json={"kind": kind, "where": where, "times": 1}) as answer:
            assert answer.status == 201

    async def seen(self) -> dict[str, Any]:
        async with self._session.get("/_answers") as answer:
            found: dict[str, Any] = await answer.json()
        return found


@pytest_asyncio.fixture(loop_scope="session")
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A stack that pulls every second."""
    monkeypatch.setenv("IGSTATS_GATEWAY_DROP_PULL_DAYS", "0.00001")
    monkeypatch.setenv("IGSTATS_GATEWAY_DROP_LOOK_SECONDS", "0.2")
    report = ConsoleReport(Console(file=io.StringIO()))
    async with running(tmp_path, report) as stack, privacy_channels(stack) as channels:
        made = World(stack, *channels)
        yield made
        await made.crowd.close()


@pytest_asyncio.fixture(loop_scope="session")
async def platform(world: World) -> AsyncIterator[Platform]:
    async with aiohttp.ClientSession(world.stack.layout.drop_url) as session:
        yield Platform(session)


def _address(person: Somebody) -> str:
    return f"{person.account_id}@bench.example"


async def _joins(world: World, person: Somebody, name: str) -> None:
    """Somebody else gives the person's address as their own."""
    email, tokens = _address(person), world.crowd.tokens
    row = {"account_id": person.account_id, "contact_id": "con_bench_2", "email": email, "name": name}
    marks = {"id_token": tokens.of("CONTACT_ID", row["contact_id"]), "email_token": tokens.of("EMAIL", email)}
    hashed = tokens.of("EMAIL_SHA256", email_sha256(email))
    async with world.database("gateway").transaction() as connection:
        await connection.execute(insert(contacts).values(**row, **marks, hash_token=hashed, created_at=func.now()))


async def _number(world: World, service: str, query: str) -> int:
    async with world.database(service).read() as connection:
        return int(await connection.scalar(text(query)) or 0)


async def test_a_gateway_killed_while_it_asks_and_while_it_reports_loses_nobody_and_doubles_nothing(
    world: World, platform: Platform
) -> None:
    *gone, shared, bystander = await world.crowd.make(PERSONS + 2)
    await _joins(world, shared, "somebody else")
    await platform.fault("late_cut", "/data/upload")
    named = [f" {_address(person).upper()}" for person in gone]
    items = await platform.ask([*named, _address(shared), "nobody@bench.example"])
    expected = dict(zip(items, [*["3"] * PERSONS, "4", "5"], strict=True))
    gateway = world.stack.parts["gateway"]

    async def asking() -> bool:
        return await _number(world, "gateway", "SELECT count(*) FROM drop_items WHERE status_code IS NOT NULL") > 4

    await eventually(asking, "privacy has some of the requests")
    await gateway.kill()
    await gateway.ready()

    async def taken() -> bool:
        return bool((await platform.seen())["answers"])

    await eventually(taken, "the platform has the answers, and we do not know it")
    assert await _number(world, "gateway", "SELECT count(*) FROM drop_lists WHERE state = 'SENDING'") == 1
    await gateway.kill()

    async def reported() -> bool:
        reports = "SELECT count(*) FROM evidence_entries WHERE kind = 'drop.reported'"
        return await _number(world, "audit", reports) > 0

    await eventually(reported, "the report stands in the evidence log")
    seen = await platform.seen()
    assert seen["answers"] == expected
    assert seen["outstanding"] == []
    assert len(seen["uploads"]) == 1
    assert await _number(world, "privacy", "SELECT count(*) FROM requests WHERE door = 'drop'") == PERSONS + 1
    assert await _number(world, "audit", "SELECT count(*) FROM evidence_entries WHERE kind = 'drop.reported'") == 1
    async with world.database("gateway").read() as connection:
        held = select(contacts.c.email).order_by(contacts.c.email)
        left = set((await connection.scalars(held)).all())
    assert left & {_address(person) for person in (*gone, shared, bystander)} == {_address(shared), _address(bystander)}
