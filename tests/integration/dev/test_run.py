"""The command of the README: everything starts, the story is told, every step held, what it then prints works."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path


def test_the_story_is_told_twice_on_the_same_data_and_every_step_and_every_printed_command_holds(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "igstats_dev", "run"]
    first = _try_what_is_printed(command, tmp_path)
    assert "Everything above was checked, and held." in first
    second = subprocess.run(
        [*command, "--once"], cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False
    )
    assert second.returncode == 0, second.stdout + second.stderr
    assert "was erased before and stays erased" in second.stdout


def _try_what_is_printed(command: list[str], folder: Path) -> str:
    """Runs each command below the banner as it stands; what the stack said."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as stack:
        try:
            assert stack.stdout
            said = []
            for line in stack.stdout:
                said.append(line)
                if line.startswith("Ctrl-C stops everything"):
                    break
            _, below, rest = "".join(said).partition("Try, in another terminal in this folder:\n")
            assert below, "".join(said)
            answers = {line.strip(): _typed(line, folder) for line in rest.splitlines()[:-1]}
            profile, own = [answer for line, answer in answers.items() if "--watch" in line]
            assert "FULFILLED" in profile
            assert "FULFILLED" in own
            assert "(synthetic)" in next(answer for line, answer in answers.items() if "profile show" in line)
            stack.send_signal(signal.SIGINT)
            stack.stdout.read()
            assert stack.wait(60) == 0
        finally:
            stack.kill()
    return "".join(said)


def _typed(line: str, folder: Path) -> str:
    typed = subprocess.run(shlex.split(line), cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert typed.returncode == 0, f"{line}: {typed.stdout}{typed.stderr}"
    return typed.stdout
