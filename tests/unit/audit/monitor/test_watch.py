"""The monitor's day: what is wrong is told once, nothing is lost when nobody listens, and memory is its own."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.model import Log
from igstats_audit.monitor.findings import Findings
from igstats_audit.monitor.memory import MemoryFiles
from igstats_audit.monitor.model import Finding, FindingKind, Observation
from igstats_audit.monitor.watch import Watch
from igstats_audit.telemetry import LOOKS
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

    async def looked(self, log: Log, now: datetime) -> None:
        self.looks[log] = now

    async def save(self, observations: Collection[Observation], now: datetime) -> Sequence[Finding]:
        if self.closed:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")
        new = [one for one in dict.fromkeys(observations) if one not in self.kept]
        start = len(self.kept)
        self.kept |= {one: Finding(f"fnd_{start + at:026d}", one, now, now) for at, one in enumerate(new)}
        return [self.kept[one] for one in new]

    async def page(self, before: str, limit: int) -> Sequence[Finding]:
        found = sorted(self.kept.values(), key=lambda one: one.finding_id, reverse=True)
        return [one for one in found if not before or one.finding_id < before][:limit]

    @property
    def places(self) -> list[str]:
        return [f"{one.kind} {one.place}" for one in self.kept]


def looks(outcome: str) -> float:
    """How many looks at the evidence log have ended so."""
    return float(LOOKS.labels(log=Log.EVIDENCE, outcome=outcome)._value.get())


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
    async def unavailable(_path: str) -> bytes | None:
        raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="audit")

    monkeypatch.setattr(world, "file", unavailable)
    world.change(3, sealed=b"another")
    assert await watch(world, shelf, tmp_path, FakeClock()).look() == 1


async def test_a_look_without_files_is_not_taken_for_a_whole_one_and_comes_again_within_the_hour(
    world: World, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, good = FakeClock(), world.file

    async def unavailable(_path: str) -> bytes | None:
        raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="audit")

    before = looks("partial")
    monkeypatch.setattr(world, "file", unavailable)
    watching = watch(world, shelf, tmp_path, clock)
    assert await watching.look() == 0
    assert shelf.looks == {}
    assert looks("partial") == before + 1
    monkeypatch.setattr(world, "file", good)
    clock.advance(timedelta(minutes=59))
    assert await watching.look() == 0
    assert shelf.looks == {}
    clock.advance(timedelta(minutes=1))
    assert await watching.look() == 0
    assert shelf.looks == {Log.EVIDENCE: clock.now()}
    assert looks("partial") == before + 1


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


async def test_findings_are_listed_in_pages_newest_first(shelf: Shelf) -> None:
    findings = Findings(shelf)
    seen = [Observation(Log.ACCESS, FindingKind.LEAF_CHANGED, f"entry {at}", "") for at in range(1500)]
    assert await findings.tell(seen, NOW) == 1000
    first = await findings.page(2, "")
    assert [one.observation.place for one in first.findings] == ["entry 999", "entry 998"]
    rest = await findings.page(2000, first.next_page_token)
    assert len(rest.findings) == 500
    assert rest.findings[0].observation.place == "entry 997"
    with pytest.raises(DomainError) as failed:
        await findings.page(1, "x' OR 1=1")
    assert failed.value.reason is Reason.PAGE_TOKEN_INVALID
