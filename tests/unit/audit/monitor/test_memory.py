"""What the monitor remembers comes back as it was, whole or not at all."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from igstats_audit.model import Log
from igstats_audit.monitor.memory import Memory, MemoryDamagedError, MemoryFiles, Seen, Told
from igstats_audit.monitor.model import FindingKind
from igstats_audit.tree import Range, grow, leaf_hash

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def grown(size: int) -> Range:
    return grow(Range(), [leaf_hash(bytes([at % 256])) for at in range(size)]).after


def test_a_memory_comes_back_as_it_was(tmp_path: Path) -> None:
    files = MemoryFiles(tmp_path / "memory")
    memory = files.load(Log.ACCESS)
    memory.adopt(grown(70), "note")
    memory.note_day(NOW.date(), 70, 30)
    memory.audited_at = NOW
    memory.minimum_index = 3
    memory.note_shown([Seen(71, bytes(32), "shown")])
    memory.mark, memory.behind = 70, 2
    assert list(memory.counter.take([(0, "gateway", 7)], NOW)) == []
    assert len(list(memory.counter.take([(1, "gateway", 7)], NOW))) == 1
    memory.told[FindingKind.FORK, "checkpoint 70"] = Told("fnd_1", NOW)
    memory.keys = ["a log+00000000+AQ=="]
    files.save(memory)
    assert files.load(Log.ACCESS) == memory
    assert files.load(Log.EVIDENCE) == Memory.new(Log.EVIDENCE)
    assert (tmp_path / "memory" / "access.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"form": 9}'])
def test_a_damaged_memory_is_not_taken_for_a_new_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "evidence.json").write_text(content)
    with pytest.raises(MemoryDamagedError):
        MemoryFiles(tmp_path).load(Log.EVIDENCE)


def test_old_checkpoints_are_thinned_out_and_the_first_stays() -> None:
    memory = Memory.new(Log.EVIDENCE)
    for size in range(1, 1000):
        memory.adopt(grown(size), "note")
    sizes = [seen.size for seen in memory.checkpoints]
    assert len(sizes) <= 128
    assert sizes[0] == 1
    assert sizes[-60:] == list(range(940, 1000))


def test_sizes_of_days_are_kept_as_long_as_their_entries() -> None:
    memory = Memory.new(Log.ACCESS)
    for day in range(60):
        memory.note_day(date(2026, 3, 2) + timedelta(days=day), day, 30)
    assert sorted(memory.sizes.values()) == list(range(28, 60))
