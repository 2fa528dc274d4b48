"""California's DROP on the real stack: a consumer asks at the platform, the contact is gone, then it is reported."""

from datetime import UTC, datetime

import aiohttp
import pytest
from igstats_dev.drop.server import Emulator
from igstats_gateway.config import GatewayConfig
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.drop.broker import Broker
from igstats_gateway.doors.drop.platform import Platform
from igstats_gateway.doors.drop.rules import LONGEST
from igstats_gateway.doors.drop.store import DropStore
from igstats_gateway.tables import contacts
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.seal import Sealer
from igstats_kit.testing.clock import FakeClock
from sqlalchemy import func, select

from .conftest import World, eventually

KEY = "a broker's key"
NOON = datetime(2026, 11, 4, 20, tzinfo=UTC)


async def test_a_consumer_of_the_platform_is_deleted_and_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (person,) = await world.crowd.make(1)
    emulator = Emulator(SystemClock(), KEY)
    known = emulator.lists.ask(f" {person.account_id}@Bench.Example")
    stranger = emulator.lists.ask("nobody@bench.example")
    store = DropStore(world.database("gateway"), world.crowd.tokens, Sealer(b"s" * 32))
    for name, value in world.stack.environment("gateway").items():
        monkeypatch.setenv(name, value)
    config = GatewayConfig.load()
    channels = Channels(config)
    async with emulator.listening() as url, aiohttp.ClientSession() as session:
        desk = Desk(channels.to("privacy", config.privacy_address))
        broker = Broker(store, Platform(session, url, KEY), desk, FakeClock(NOON), LONGEST)

        async def reported() -> bool:
            await broker.step()
            return bool(emulator.lists.answers)

        await eventually(reported, "the platform has its answers")
    await channels.close()
    assert emulator.lists.answers == {known: "3", stranger: "5"}
    async with world.database("gateway").read() as connection:
        mine = select(func.count()).select_from(contacts).filter_by(account_id=person.account_id)
        assert await connection.scalar(mine) == 0
