"""The monitor's day: what is wrong is told once, nothing is lost when nobody listens, and memory is its own."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.model import Log
from igstats_audit.monitor.findings import MOST_OPEN, Findings
from igstats_audit.monitor.memory import Memory, MemoryFiles
from igstats_audit.monitor.model import Finding, FindingKind, Observation
from igstats_audit.monitor.watch import Watch
from igstats_audit.telemetry import FINDINGS_LEFT, LOOKS
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock

World = Any
"""The log of conftest.py."""
GRACE = timedelta(minutes=15)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Shelf:
    """Keeps findings in memory; can be closed."""

    def __init__(self) -> None:
        self.kept: dict[Observation, Finding] = {}
        self.closed = False
        self.looks: dict[Log, datetime] = {}
        self.told: list[str] = []

    async def looked_at(self, log: Log) -> datetime | None:
        return self.looks.get(log)

    async def looked(self, log: Log, now: datetime) -> None:
        self.looks[log] = now

    async def save(self, seen: Collection[Finding], new: Collection[Finding]) -> None:
        if self.closed:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")
        self.kept |= {one.observation: one for one in seen}
        self.told += [f"{one.observation.kind} {one.observation.place}" for one in new]

    async def page(self, before: str, limit: int) -> Sequence[Finding]:
        found = sorted(self.kept.values(), key=lambda one: one.finding_id, reverse=True)
        return [one for one in found if not before or one.finding_id < before][:limit]

    @property
    def places(self) -> list[str]:
        return [f"{one.kind} {one.place}" for one in self.kept]


def looks(outcome: str) -> float:
    """How many looks at the evidence log have ended so."""
    return float(LOOKS.labels(log=Log.EVIDENCE, outcome=outcome)._value.get())


async def unavailable(_path: str) -> bytes | None:
    """A file of a service that does not answer."""
    raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="audit")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def watch(world: World, shelf: Shelf, folder: Path, clock: FakeClock) -> Watch:
    files = MemoryFiles(folder)
    world.memory = files.load(world.log)
    return Watch([world.looker()], files, Findings(shelf), clock, grace=GRACE)


async def test_a_wrong_thing_is_told_once(world: World, shelf: Shelf, tmp_path: Path) -> None:
    clock = FakeClock()
    world.change(3, sealed=b"another")
    watching = watch(world, shelf, tmp_path, clock)
    assert await watching.look() == 1
    clock.advance(timedelta(days=1))
    assert await watching.look() == 0
    assert shelf.places == ["PAYLOAD_CHANGED entry 3"]


async def test_an_old_entry_that_changes_is_found_within_a_day(world: World, shelf: Shelf, tmp_path: Path) -> None:
    clock = FakeClock()
    watching = watch(world, shelf, tmp_path, clock)
    assert await watching.look() == 0
    world.change(3, sealed=b"another")
    clock.advance(timedelta(hours=23))
    assert await watching.look() == 0
    clock.advance(timedelta(hours=1))
    assert await watching.look() == 1


async def test_the_security_audit_is_told_of_whole_looks_only(world: World, shelf: Shelf, tmp_path: Path) -> None:
    clock = FakeClock()
    watching = watch(world, shelf, tmp_path, clock)
    begun = clock.now()
    assert await watching.look() == 0
    clock.advance(timedelta(hours=23))
    assert await watching.look() == 0
    assert shelf.looks == {Log.EVIDENCE: begun}
    clock.advance(timedelta(hours=1))
    await watching.look()
    assert shelf.looks == {Log.EVIDENCE: clock.now()}


async def test_what_could_not_be_told_is_told_later(world: World, shelf: Shelf, tmp_path: Path) -> None:
    watching = watch(world, shelf, tmp_path, FakeClock())
    world.append([world.entry(700, "stats", 5)])
    shelf.closed = True
    assert await watching.look() == 0
    shelf.closed = False
    assert await watching.look() == 1
    assert shelf.places == ["SEQUENCE_REPEATED producer stats 5"]


async def test_a_gap_is_told_after_the_grace_time_and_outlives_a_restart(
    world: World, shelf: Shelf, tmp_path: Path
) -> None:
    clock = FakeClock()
    world.append([world.entry(700, "stats", 1000)])
    assert await watch(world, shelf, tmp_path, clock).look() == 0
    clock.advance(GRACE)
    assert await watch(world, shelf, tmp_path, clock).look() == 1
    assert shelf.places == ["SEQUENCE_GAP producer stats 235..999"]


async def test_a_rewritten_log_is_noticed_after_a_restart(world: World, shelf: Shelf, tmp_path: Path) -> None:
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 0
    other = type(world)()
    other.grow(650)
    assert await watch(other, shelf, tmp_path, FakeClock()).look() == 1
    assert shelf.places == ["FORK checkpoint 700"]


async def test_a_silent_service_does_not_keep_the_rows_from_being_checked(
    world: World, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "file", unavailable)
    world.change(3, sealed=b"another")
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 1


async def test_a_look_without_files_is_not_taken_for_a_whole_one_and_comes_again_when_the_service_may_answer(
    world: World, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, good = FakeClock(), world.file
    before = looks("partial")
    watching = watch(world, shelf, tmp_path, clock)
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        monkeypatch.setattr(world, "file", unavailable)
        assert await watching.look() == 0
        monkeypatch.setattr(world, "file", good)
        clock.advance(timedelta(minutes=minutes, seconds=-1))
        assert await watching.look() == 0
        assert shelf.looks == {}, "that was no look at the whole log"
        clock.advance(timedelta(seconds=1))
    assert looks("partial") == before + 8
    assert await watching.look() == 0
    assert shelf.looks == {Log.EVIDENCE: clock.now()}
    monkeypatch.setattr(world, "file", unavailable)
    clock.advance(timedelta(days=1))
    assert await watching.look() == 0
    monkeypatch.setattr(world, "file", good)
    clock.advance(timedelta(minutes=1))
    assert await watching.look() == 0
    assert shelf.looks == {Log.EVIDENCE: clock.now()}, "patience begins anew"


async def test_a_log_that_cannot_be_looked_at_does_not_keep_the_other_from_it(
    world: World, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, files = type(world)(), MemoryFiles(tmp_path)

    async def head() -> None:
        raise ValueError("what nobody thought of")

    monkeypatch.setattr(broken, "head", head)
    world.change(3, sealed=b"another")
    watching = Watch([broken.looker(), world.looker()], files, Findings(shelf), FakeClock(), grace=GRACE)
    assert await watching.look() == 1
    assert shelf.places == ["PAYLOAD_CHANGED entry 3"]
    assert await watching.look() == 0


async def test_what_is_mended_and_found_again_is_told_again(world: World, shelf: Shelf, tmp_path: Path) -> None:
    clock, good = FakeClock(), world.rows[3].sealed
    watching = watch(world, shelf, tmp_path, clock)
    for sealed, new in ((b"another", 1), (b"another", 0), (good, 0), (b"another", 1), (b"another", 0)):
        world.change(3, sealed=sealed)
        assert await watching.look() == new
        clock.advance(timedelta(days=1))
    assert shelf.told == ["PAYLOAD_CHANGED entry 3"] * 2
    (finding,) = shelf.kept.values()
    assert finding.seen_at - finding.found_at == timedelta(days=1)


async def test_a_look_that_could_not_see_everything_takes_nothing_for_mended(
    world: World, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, good = FakeClock(), world.file

    world.made["tile/entries/001"] = b"another"
    watching = watch(world, shelf, tmp_path, clock)
    assert await watching.look() == 1
    for file in (unavailable, good):
        clock.advance(timedelta(days=1))
        monkeypatch.setattr(world, "file", file)
        assert await watching.look() == 0


async def test_what_was_told_is_remembered_over_a_restart(world: World, shelf: Shelf, tmp_path: Path) -> None:
    world.change(3, sealed=b"another")
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 1
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 0
    shelf.kept.clear()  # whatever became of the list
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 0
    assert shelf.places == ["PAYLOAD_CHANGED entry 3"]


async def test_a_repeated_number_is_wrong_until_its_entry_is_cut(world: World, shelf: Shelf, tmp_path: Path) -> None:
    clock = FakeClock()
    world.append([world.entry(700, "stats", 5)])
    watching = watch(world, shelf, tmp_path, clock)
    assert await watching.look() == 1
    for _ in range(2):
        clock.advance(timedelta(days=1))
        assert await watching.look() == 0
        assert [one.seen_at for one in shelf.kept.values()] == [clock.now()]
    clock.advance(timedelta(days=40))
    world.cut(701)
    await watching.look()
    assert "SEQUENCE_REPEATED producer stats 5" in {
        f"{one.observation.kind} {one.observation.place}" for one in shelf.kept.values() if one.seen_at < clock.now()
    }


async def test_a_monitor_that_has_lost_its_memory_says_so_once(world: World, shelf: Shelf, tmp_path: Path) -> None:
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 0
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 0
    (tmp_path / "evidence.json").unlink()
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 1
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 0
    assert shelf.told == ["MEMORY_LOST memory"]


def seen_at(kind: FindingKind, count: int) -> list[Observation]:
    return [Observation(Log.ACCESS, kind, f"entry {at}", "") for at in range(count)]


async def test_of_many_findings_those_that_are_few_come_first_and_all_come_in_time(shelf: Shelf) -> None:
    findings, memory = Findings(shelf), Memory.new(Log.ACCESS)
    many = seen_at(FindingKind.LEAF_CHANGED, 1500)
    gap, fork = (Observation(Log.ACCESS, kind, "there", "") for kind in (FindingKind.SEQUENCE_GAP, FindingKind.FORK))
    assert await findings.tell([*many, gap, fork], memory, NOW) == (1000, 502)
    assert shelf.told[:3] == ["FORK there", "SEQUENCE_GAP there", "LEAF_CHANGED entry 0"]
    assert FINDINGS_LEFT.labels(log=Log.ACCESS)._value.get() == 502
    assert await findings.tell([*many, gap, fork], memory, NOW) == (502, 0)
    assert await findings.tell([*many, gap, fork], memory, NOW) == (0, 0)
    assert len(set(shelf.told)) == 1502


async def test_there_is_an_end_to_telling_but_not_for_forks(shelf: Shelf) -> None:
    findings, memory = Findings(shelf), Memory.new(Log.ACCESS)
    many = seen_at(FindingKind.PAYLOAD_CHANGED, MOST_OPEN + 7)
    for _ in range(MOST_OPEN // 1000):
        await findings.tell(many, memory, NOW)
    telling = await findings.tell([*many, *seen_at(FindingKind.FORK, 2)], memory, NOW)
    assert (telling, telling.goes_on) == ((2, 7), True)
    assert await findings.tell(many, memory, NOW) == (0, 7)


async def test_what_was_left_out_is_looked_for_within_the_hour(
    world: World, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("igstats_audit.monitor.findings.MOST_AT_ONCE", 2)
    for index in (3, 4, 5):
        world.change(index, sealed=b"another")
    watching = watch(world, shelf, tmp_path, clock)
    assert await watching.look() == 2
    assert await watching.look() == 0
    clock.advance(timedelta(hours=1))
    assert await watching.look() == 1


async def test_findings_are_listed_in_pages_newest_first(shelf: Shelf) -> None:
    findings = Findings(shelf)
    assert await findings.tell(seen_at(FindingKind.LEAF_CHANGED, 1000), Memory.new(Log.ACCESS), NOW) == (1000, 0)
    ids = sorted((one.finding_id for one in shelf.kept.values()), reverse=True)
    first = await findings.page(2, "")
    assert [one.finding_id for one in first.findings] == ids[:2]
    rest = await findings.page(2000, first.next_page_token)
    assert [one.finding_id for one in rest.findings] == ids[2:502]
    with pytest.raises(DomainError) as failed:
        await findings.page(1, "x' OR 1=1")
    assert failed.value.reason is Reason.PAGE_TOKEN_INVALID
