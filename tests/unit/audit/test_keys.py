"""Data keys over a table in memory: sealing, and every order of rotations, kills, erasures and new subjects."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.keyring import DayKey, Living, WrappedKey, unwrap
from igstats_audit.keys import DataKeys
from igstats_audit.model import DataKey, Log, Subject
from igstats_kit.errors import DomainError, passes
from igstats_kit.seal import Sealer
from igstats_kit.testing.clock import FakeClock

SALT = bytes(range(32))
KEY, OTHER = DataKey("key_1", b"k" * 32), DataKey("key_2", b"o" * 32)
DAY = timedelta(days=1)
REPLICAS = 2


class KilledError(BaseException):
    pass


@dataclass
class MemoryKeyStore:
    kept: dict[str, bytes] = field(default_factory=dict)
    made: int = 0
    trouble: OSError | None = None

    def ids(self) -> list[str]:
        return sorted(self.kept)

    def read(self, kek_id: str) -> bytes:
        if self.trouble is not None:
            raise self.trouble
        return self.kept[kek_id]

    def create(self) -> str:
        self.made += 1
        kek_id = f"kek_{self.made:03}"
        self.kept[kek_id] = self.made.to_bytes(32)
        return kek_id

    def destroy(self, kek_id: str) -> None:
        self.kept.pop(kek_id, None)


@dataclass
class MemoryTable:
    """A KeyTable whose turns are whole or have not happened. `written` is what WAL and backups remember."""

    rows: dict[str, WrappedKey] = field(default_factory=dict)
    day_key: DayKey | None = None
    written: list[WrappedKey] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator["MemoryTable"]:
        async with self.lock:
            before = dict(self.rows), self.day_key
            try:
                yield self
            except BaseException:
                self.rows, self.day_key = before
                raise

    async def current(self) -> DayKey | None:
        return self.day_key

    async def in_use(self) -> Mapping[str, int]:
        return Counter(row.kek_id for row in self.rows.values())

    async def make_current(self, key: DayKey) -> None:
        self.day_key = key

    async def outdated(self, kek_id: str, after: str, but: Collection[str], limit: int) -> Sequence[WrappedKey]:
        rows = [row for name, row in sorted(self.rows.items()) if row.kek_id != kek_id and name not in but]
        return [row for row in rows if row.key_id > after][:limit] or rows[:1]

    async def rewrap(self, keys: Sequence[WrappedKey]) -> None:
        self._write(keys)

    async def of(self, connection: object, log: str, names: Sequence[str]) -> Living:
        return self._living([row for row in self.rows.values() if row.log == log and row.subject.name in names])

    async def find(self, connection: object, key_ids: Sequence[str]) -> Living:
        return self._living([row for row in self.rows.values() if row.key_id in key_ids])

    async def add(self, connection: object, keys: Sequence[WrappedKey]) -> set[str]:
        taken = {(row.log, row.subject) for row in self.rows.values()}
        in_force = self.day_key is not None and self.day_key.kek_id == keys[0].kek_id
        fresh = [key for key in keys if in_force and (key.log, key.subject) not in taken]
        self._write(fresh)
        return {key.key_id for key in fresh}

    async def alive(self, key_ids: Sequence[str]) -> set[str]:
        return set(key_ids) & set(self.rows)

    def _write(self, keys: Sequence[WrappedKey]) -> None:
        self.written += keys
        self.rows |= {key.key_id: key for key in keys}

    def _living(self, rows: list[WrappedKey]) -> Living:
        return Living(self.day_key.kek_id if self.day_key else None, rows)


class PacedTable:
    """The table as one replica's rotation sees it: each turn waits to be let in, and may be killed at its end."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table
        self.arrived = asyncio.Event()
        self.go: asyncio.Queue[bool] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[MemoryTable]:
        self.arrived.set()
        survive = await self.go.get()
        async with self._table.turn() as turn:
            yield turn
            if not survive:
                raise KilledError

    def __getattr__(self, name: str) -> object:
        return getattr(self._table, name)


class World:
    """Replicas over one table and one key store, moved step by step."""

    def __init__(self) -> None:
        self.table, self.keystore, self.clock = MemoryTable(), MemoryKeyStore(), FakeClock()
        self.secrets: dict[str, bytes] = {}
        self.erased: set[str] = set()
        self.replicas = [self.replica() for _ in range(REPLICAS)]
        self.rotations: list[tuple[PacedTable, asyncio.Task[None]] | None] = [None] * REPLICAS

    def replica(self) -> DataKeys:
        return DataKeys(self.keystore, self.table, self.clock, cached=3, batch=2)

    async def make(self, number: int, name: str) -> None:
        subject = Subject(name, name.encode())
        key = (await self.replicas[number].of(None, Log.ACCESS, [subject]))[subject]
        assert key.key_id not in self.erased
        assert self.secrets.setdefault(key.key_id, key.secret) == key.secret

    def erase(self, name: str) -> None:
        gone = {key_id for key_id, row in self.table.rows.items() if row.subject.name == name}
        self.erased |= gone
        self.table.rows = {key_id: row for key_id, row in self.table.rows.items() if key_id not in gone}

    async def step(self, number: int, *, survive: bool) -> None:
        """Lets a replica's rotation take its next turn; starts one when none runs."""
        running = self.rotations[number]
        if running is None:
            paced = PacedTable(self.table)
            keys = DataKeys(self.keystore, paced, self.clock, batch=2)  # type: ignore[arg-type]  # by __getattr__
            running = self.rotations[number] = (paced, asyncio.create_task(keys.rotate()))
            await self._moved(number)
        if self.rotations[number] is not None:
            paced, _ = running
            paced.arrived.clear()
            paced.go.put_nowait(survive)
            await self._moved(number)

    async def _moved(self, number: int) -> None:
        """Returns when the rotation waits for its next turn, or has ended."""
        running = self.rotations[number]
        assert running is not None
        paced, task = running
        arrival = asyncio.create_task(paced.arrived.wait())
        await asyncio.wait({task, arrival}, return_when=asyncio.FIRST_COMPLETED)
        arrival.cancel()
        if task.done():
            self.rotations[number] = None
            with contextlib.suppress(KilledError):
                task.result()

    async def require_all_open(self) -> None:
        alive = {key_id: secret for key_id, secret in self.secrets.items() if key_id not in self.erased}
        for keys in (*self.replicas, self.replica()):
            found = await keys.find(None, list(self.secrets))
            assert {key_id: key.secret for key_id, key in found.items()} == alive

    async def end(self) -> None:
        for running in self.rotations:
            if running is not None:
                running[1].cancel()
                await asyncio.wait([running[1]])
        self.clock.advance(DAY)
        await self.replicas[0].rotate()

    def dead(self, row: WrappedKey) -> bool:
        for key in self.keystore.kept.values():
            with contextlib.suppress(KeyDamagedError):
                unwrap(row, Sealer(key))
                return False
        return True


NAMES = st.sampled_from(["a", "b", "c", "d"])
NUMBERS = st.integers(0, REPLICAS - 1)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("make"), NUMBERS, NAMES),
        st.tuples(st.just("erase"), NAMES),
        st.tuples(st.just("step"), NUMBERS),
        st.tuples(st.just("kill"), NUMBERS),
        st.tuples(st.just("day")),
    ),
    max_size=40,
)


async def act(world: World, action: tuple[object, ...]) -> None:
    match action:
        case ("make", int(number), str(name)):
            await world.make(number, name)
        case ("erase", str(name)):
            world.erase(name)
        case ("step" | "kill" as how, int(number)):
            await world.step(number, survive=how == "step")
        case _:
            world.clock.advance(DAY)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
async def test_in_any_order_living_keys_open_and_what_was_erased_before_a_rotation_is_dead_after_it(
    actions: list[tuple[object, ...]],
) -> None:
    world = World()
    await world.replicas[0].ready()
    for action in actions:
        await act(world, action)
        await world.require_all_open()
    await world.end()
    await world.require_all_open()
    assert len(world.keystore.kept) == 1
    assert all(world.dead(row) for row in world.table.written if row.key_id in world.erased)
    assert all(not world.dead(row) for row in world.table.rows.values())


async def test_a_kill_at_any_turn_of_a_rotation_loses_nothing_and_the_next_run_ends_it() -> None:
    for turn in range(8):
        world = World()
        await world.replicas[0].ready()
        for name in "abcde":
            await world.make(0, name)
        world.erase("c")
        world.clock.advance(DAY)
        for step in range(turn + 1):
            await world.step(0, survive=step < turn)
        await world.require_all_open()
        await world.replicas[1].rotate()
        await world.require_all_open()
        assert len(world.keystore.kept) == 1
        assert all(world.dead(row) for row in world.table.written if row.key_id in world.erased)


async def test_a_rotation_that_another_day_overtakes_destroys_nothing_that_is_needed() -> None:
    world = World()
    await world.replicas[0].ready()
    await world.make(0, "a")
    world.clock.advance(DAY)
    for _ in range(3):  # changes the key of the day, wraps again, finds nothing more to wrap
        await world.step(0, survive=True)
    world.clock.advance(DAY)
    await world.step(1, survive=True)  # changes it once more
    await world.step(0, survive=True)  # is about to destroy
    await world.require_all_open()
    await world.end()
    await world.require_all_open()
    assert len(world.keystore.kept) == 1


async def test_memory_is_emptied_when_the_key_of_the_day_changes() -> None:
    world = World()
    await world.replicas[0].ready()
    await world.make(0, "a")
    await world.require_all_open()
    assert world.replicas[0]._cache
    old = world.keystore.ids()
    world.clock.advance(DAY)
    await world.replicas[0].rotate()
    assert not world.replicas[0]._cache
    assert not set(old) & set(world.replicas[0]._ring._sealers)
    assert not set(old) & set(world.replicas[0]._rotation._ring._sealers)


async def test_a_missing_key_of_the_day_is_named_with_the_keys_that_need_it() -> None:
    world = World()
    await world.replicas[0].ready()
    for name in "abc":
        await world.make(0, name)
    world.keystore.kept.clear()
    with pytest.raises(KeyLostError, match=r"lacks kek_001 \(3 data keys\)"):
        await world.replica().rotate()
    assert world.keystore.kept == {}


async def test_a_subject_gets_no_key_while_the_key_of_the_day_is_missing() -> None:
    world = World()
    await world.replicas[0].ready()
    world.keystore.kept.clear()
    with pytest.raises(KeyLostError):
        await world.make(1, "a")
    assert world.table.rows == {}


async def test_a_key_store_that_cannot_be_read_is_waited_for() -> None:
    world = World()
    await world.replicas[0].ready()
    await world.make(0, "a")
    world.keystore.trouble = OSError("stale file handle")
    late = world.replica()
    for attempt in (
        late.of(None, Log.ACCESS, [Subject("a")]),
        late.of(None, Log.ACCESS, [Subject("b")]),
        late.rotate(),
    ):
        with pytest.raises(DomainError) as refused:
            await attempt
        assert passes(refused.value)
    world.keystore.trouble = None
    await world.require_all_open()


async def test_the_worker_waits_for_a_key_of_the_day_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    world, pauses = World(), []
    await world.replicas[0].ready()
    await world.make(0, "a")
    lost = dict(world.keystore.kept)
    world.keystore.kept.clear()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 1:
            raise KilledError
        world.keystore.kept |= lost
        world.clock.advance(DAY)

    monkeypatch.setattr("igstats_audit.keys.asyncio.sleep", pause)
    with pytest.raises(KilledError):
        await world.replicas[0].run()
    assert not set(world.keystore.kept) & set(lost)
    await world.require_all_open()


async def test_the_rotation_waits_for_a_folder_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    pauses = []

    def broken() -> list[str]:
        raise OSError("stale file handle")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        raise KilledError

    monkeypatch.setattr(world.keystore, "ids", broken)
    monkeypatch.setattr("igstats_audit.keys.asyncio.sleep", pause)
    with pytest.raises(KilledError):
        await world.replicas[0].run()
    assert pauses == [5.0]


async def test_the_cache_is_bounded_and_forgets_what_was_not_used() -> None:
    world = World()
    await world.replicas[0].ready()
    for name in "abcd":
        await world.make(0, name)
    assert len(world.replicas[0]._cache) <= 3
    await world.require_all_open()
