"""The command of the README: everything starts, the story is told, every step held, nothing is left."""

import subprocess
import sys
from pathlib import Path


def test_the_story_is_told_twice_on_the_same_data_and_every_step_holds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "igstats_dev", "run", "--once", "--data", str(tmp_path / "data")]
    first = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Everything above was checked, and held." in first.stdout
    second = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "was erased by an earlier telling and stays erased" in second.stdout
