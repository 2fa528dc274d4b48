"""Where a test run's database keeps its data, and that nothing is left of it."""

from pathlib import Path
from typing import NamedTuple

import pytest
from igstats_kit.testing.keeper import data_home, locked


class Usage(NamedTuple):
    free: int


def test_the_data_lie_in_memory_and_go_with_the_block(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    with data_home(tmp_path, memory) as home:
        (home / "data").mkdir()
        assert home.parent == memory
    assert list(memory.iterdir()) == []


def test_without_room_in_memory_they_lie_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(free=64 << 20))
    with data_home(tmp_path, tmp_path / "memory") as home:
        assert home.parent == tmp_path
    memory = tmp_path / "memory"
    memory.mkdir()
    with data_home(tmp_path, memory) as home:
        assert home.parent == tmp_path


def test_what_a_killed_keeper_left_is_cleared_away_and_what_is_in_use_stays(tmp_path: Path) -> None:
    left, used = tmp_path / "igstats-postgres-left", tmp_path / "igstats-postgres-used"
    for folder in (left, used):
        folder.mkdir()
        (folder / "kept.lock").touch()
    with locked(used / "kept.lock"), data_home(tmp_path, tmp_path / "nowhere"):
        assert not left.exists()
        assert used.exists()
