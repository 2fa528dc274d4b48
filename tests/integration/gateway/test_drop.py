"""California's DROP against its emulator: every person reported once, whatever breaks and whenever we are killed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats_dev.drop.server import Emulator
from igstats_dev.faults import Fault
from igstats_gateway.accounts import Registration
from igstats_gateway.doors.drop.broker import Broker
from igstats_gateway.doors.drop.platform import Platform
from igstats_gateway.doors.drop.rules import LONGEST, Outcome, Rhythm
from igstats_gateway.doors.drop.store import DropStore
from igstats_gateway.doors.drop.tables import drop_items, drop_pulls
from igstats_gateway.doors.model import Identifier, Kind, Opened, Regime, Right, State, Status, Wish
from igstats_gateway.keys import Pepper
from igstats_gateway.model import Contact
from igstats_gateway.store import Store
from igstats_gateway.tables import contacts
from igstats_gateway.telemetry import DROP_DAYS
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tables import outbox
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens, email_sha256
from sqlalchemy import func, select, text, update

MakeDatabase = Callable[[str], Awaitable[Database]]
KEY = "a broker's key"
TOKENS = Tokens(b"t" * 32)
NOON = datetime(2026, 11, 4, 20, tzinfo=UTC)
EVERY = timedelta(days=30)


class KilledError(BaseException):
    """The process ended here."""


@dataclass
class Privacy:
    """Opens each request once by its key, and ends them when the test says so."""

    requests: dict[str, tuple[Wish, str]] = field(default_factory=dict)
    state: State = State.FULFILLED

    async def open(self, wish: Wish) -> Opened:
        known = self.requests.setdefault(wish.idempotency_key, (wish, f"code-{len(self.requests)}"))
        assert known[0] == wish, "the same key with other content would be refused"
        return self._shown(known[1], wish.right)

    async def status(self, status_code: str) -> Status:
        (wish,) = [wish for wish, code in self.requests.values() if code == status_code]
        return Status(self._shown(status_code, wish.right))

    def _shown(self, code: str, right: Right) -> Opened:
        return Opened(f"req_{code}", "REF", code, right, self.state, "drop", NOON, NOON, Regime.CCPA)


class Doomed:
    """Passes calls on and dies at the n-th, before or after it was done."""

    def __init__(self, inner: object, fate: "Fate") -> None:
        self._inner, self._fate = inner, fate

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        async def doomed(*given: Any, **named: Any) -> Any:
            self._fate.before(name)
            found = await call(*given, **named)
            self._fate.after(name)
            return found

        return doomed


@dataclass
class Fate:
    """When the process dies."""

    at: int
    late: bool
    calls: int = 0
    killed: str = ""

    def before(self, name: str) -> None:
        self.calls += 1
        self._judge(name, late=False)

    def after(self, name: str) -> None:
        self._judge(name, late=True)

    def _judge(self, name: str, *, late: bool) -> None:
        if self.calls == self.at and self.late == late and not self.killed:
            self.killed = name
            raise KilledError


class World:
    """A gateway's database, a privacy that obeys, and the platform."""

    def __init__(self, database: Database, emulator: Emulator, session: aiohttp.ClientSession, url: str) -> None:
        self.database, self.emulator = database, emulator
        self.clock = FakeClock(NOON)
        self.privacy = Privacy()
        self.store = DropStore(database, TOKENS, Sealer(b"s" * 32))
        self.platform = Platform(session, url, KEY)
        self._registration = Registration(Store(database, TOKENS), Pepper(b"p" * 32), self.clock)

    async def register(self, email: str, name: str) -> None:
        await self._registration.create("Engines", Contact("", email, name), ["stats:read"])

    def broker(self, fate: Fate | None = None) -> Broker:
        parts: list[Any] = [self.store, self.platform, self.privacy]
        if fate is not None:
            parts = [Doomed(part, fate) for part in parts]
        store, platform, privacy = parts
        return Broker(store, platform, privacy, self.clock, Rhythm(EVERY))

    async def work(self, broker: Broker | None = None, steps: int = 6) -> list[float]:
        chosen = broker or self.broker()
        return [await chosen.step() for _ in range(steps)]

    async def count(self, table: Any, *where: Any) -> int:
        async with self.database.read() as connection:
            found: int = await connection.scalar(select(func.count()).select_from(table).where(*where)) or 0
        return found

    async def records(self) -> list[str]:
        async with self.database.read() as connection:
            rows = await connection.scalars(select(outbox.c.data).order_by(outbox.c.position))
            made = [RecordMade.FromString(bytes(data)) for data in rows]
        return [one.kind for message in made for one in message.records if one.kind.startswith("drop.")]


@pytest.fixture
async def world(database: MakeDatabase) -> AsyncIterator[World]:
    emulator = Emulator(FakeClock(NOON), KEY)
    async with emulator.listening() as url, aiohttp.ClientSession() as session:
        yield World(await database("gateway"), emulator, session, url)


async def test_an_address_on_file_that_no_door_would_take_any_more_is_asked_for_by_its_hash(world: World) -> None:
    await world.register("ada@example.com", "Ada")
    old = "ada@localhost"
    found = {"email_token": TOKENS.of("EMAIL", old), "hash_token": TOKENS.of("EMAIL_SHA256", email_sha256(old))}
    async with world.database.transaction() as connection:
        await connection.execute(update(contacts).values(email=old, **found))
    world.emulator.lists.ask(old)
    await world.work()
    ((wish, _),) = world.privacy.requests.values()
    assert wish.identifiers == (Identifier(Kind.EMAIL_SHA256, email_sha256(old)),)


async def test_everybody_on_the_list_is_answered_by_what_became_of_them(world: World) -> None:
    await world.register("ada@example.com", "Ada")
    for name in ("Bob", "Eve"):
        await world.register("office@example.com", name)
    asked = {who: world.emulator.lists.ask(who) for who in ("Ada@Example.com", "office@example.com", "x@example.com")}
    assert await world.work() == [0.0, 0.0, 600.0, 600.0, 600.0, 600.0]
    assert world.emulator.lists.answers == {
        asked["Ada@Example.com"]: str(int(Outcome.DELETED)),
        asked["office@example.com"]: str(int(Outcome.OPTED_OUT)),
        asked["x@example.com"]: str(int(Outcome.NOT_FOUND)),
    }
    wishes = [wish for wish, _ in world.privacy.requests.values()]
    assert {(one.right, one.identity_proof, one.regime) for one in wishes} == {
        (Right.ERASURE, "California DROP", Regime.CCPA),
        (Right.OPT_OUT, "California DROP", Regime.CCPA),
    }
    assert await world.records() == ["drop.pulled", "drop.reported"]
    assert list(world.emulator.lists.uploads) == ["20261104_4821_Email.csv"]


async def test_neither_hashes_nor_addresses_stay(world: World) -> None:
    await world.register("ada@example.com", "Ada")
    for who in ("ada@example.com", "x@example.com"):
        world.emulator.lists.ask(who)
    await world.work()
    assert await world.count(drop_items) == 2
    kept = drop_items.c.token.is_not(None) | drop_items.c.sealed.is_not(None)
    assert await world.count(drop_items, kept) == 0


async def test_a_list_is_reported_when_every_request_has_ended_and_not_before(world: World) -> None:
    await world.register("ada@example.com", "Ada")
    item = world.emulator.lists.ask("ada@example.com")
    world.privacy.state = State.EXECUTING
    assert set(await world.work()) == {0.0, 60.0}
    assert world.emulator.lists.answers == {}
    world.privacy.state = State.DENIED
    await world.work()
    assert world.emulator.lists.answers == {item: str(int(Outcome.EXEMPTED))}


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("preparing", 60.0), ("throttle", 30.0), ("server_error", 300.0), ("cut", 300.0)],
)
async def test_on_a_bad_day_the_platform_is_asked_again_later(world: World, kind: str, seconds: float) -> None:
    world.emulator.lists.ask("x@example.com")
    for path in ("download", "upload") if kind != "preparing" else ("download",):
        world.emulator.faults.add(Fault(kind, where=path, times=1))
    waits = await world.work()
    assert waits.count(seconds) >= 1
    assert set(world.emulator.lists.answers.values()) == {"5"}


async def test_an_upload_whose_answer_got_lost_is_not_made_twice(world: World) -> None:
    world.emulator.lists.ask("x@example.com")
    world.emulator.faults.add(Fault("late_cut", where="upload", times=1))
    await world.work()
    assert len(world.emulator.lists.uploads) == 1
    assert await world.count(drop_pulls, drop_pulls.c.state == "DONE") == 1


async def test_a_wrong_key_is_no_reason_to_ask_often(world: World) -> None:
    world.emulator._key = "another"
    assert await world.work(steps=1) == [3600.0]


async def test_between_one_and_three_in_california_nobody_asks(world: World) -> None:
    world.clock.advance(timedelta(hours=13, minutes=30))  # 1:30
    world.emulator.lists.ask("x@example.com")
    assert await world.work(steps=1) == [5400.0]
    assert await world.count(drop_pulls) == 0


async def test_a_pull_with_nothing_new_counts_and_the_next_one_comes_in_time(world: World) -> None:
    await world.work()
    assert await world.count(drop_pulls, drop_pulls.c.state == "DONE") == 1
    world.clock.advance(EVERY - timedelta(hours=1))
    await world.work()
    assert await world.count(drop_pulls) == 1
    world.clock.advance(timedelta(hours=1))
    await world.work()
    assert await world.count(drop_pulls) == 2


async def test_a_missed_pull_shows(world: World) -> None:
    broker = world.broker()
    world.emulator.faults.add(Fault("server_error"))
    world.clock.advance(LONGEST + timedelta(days=2))
    await world.work(broker, steps=1)
    assert DROP_DAYS._value.get() == 47


async def test_a_corrected_answer_is_amended_once(world: World) -> None:
    await world.register("ada@example.com", "Ada")
    item = world.emulator.lists.ask("ada@example.com")
    assert not await world.store.change(item, Outcome.EXEMPTED, NOON), "nothing is reported yet"
    await world.work()
    assert await world.store.change(item, Outcome.EXEMPTED, NOON)
    world.emulator.faults.add(Fault("late_cut", where="amend", times=1))
    await world.work()
    assert world.emulator.lists.answers == {item: "2"}
    assert await world.store.amendments() == []
    assert not await world.store.change(item, Outcome.EXEMPTED, NOON), "it says so already"


@pytest.mark.parametrize("late", [False, True], ids=["before a call", "after a call"])
async def test_killed_anywhere_nobody_is_lost_and_nobody_is_asked_for_twice(world: World, *, late: bool) -> None:
    reissued = []
    for at in range(1, 200):
        who = f"person{at}-{late}@example.com"
        await world.register(who, "Ada")
        items = {world.emulator.lists.ask(who): "3", world.emulator.lists.ask(f"no-{who}"): "5"}
        world.clock.advance(EVERY)
        fate, before = Fate(at, late), len(world.privacy.requests)
        if not await _survives(world, fate):
            reissued.append(fate.killed)
        answers = {item: world.emulator.lists.answers.get(item) for item in items}
        assert answers == items, fate
        assert len(world.privacy.requests) == before + 1, fate
        async with world.database.transaction() as connection:
            await connection.execute(text("DELETE FROM contacts"))
        if not fate.killed:
            break
    else:
        pytest.fail("there is always another call to die at")
    assert set(reissued) == {"download" if late else "take_in"}, (
        "only a download that never reached us needs the platform's support"
    )


async def _survives(world: World, fate: Fate) -> bool:
    """Runs to the end with one death on the way; False when the platform's support had to help."""
    try:
        await world.work(world.broker(fate))
    except KilledError:
        waits = await world.work()
        if 3600.0 in waits:
            world.emulator.lists.reissue()
            await world.work()
            return False
    return True
