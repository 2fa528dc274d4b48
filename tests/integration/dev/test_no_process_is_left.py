"""However the supervisor ends, nothing it started outlives it."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ALONE = [part for service in ("audit", "privacy", "stats", "gateway") for part in ("--without", service)]
ENDED_IN_TIME = 30.0


def children(pid: int) -> list[int]:
    """All processes below the pid."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after_name[1]) == pid and after_name[0] != "Z":
            child = int(stat.parent.name)
            found += [child, *children(child)]
    return found


def wait_for_end(pids: list[int]) -> None:
    """Waits for processes that are not our children, by the kernel's handle of each."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([handle], [], [], ENDED_IN_TIME)
        os.close(handle)
        assert ended, f"{Path(f'/proc/{pid}/cmdline').read_text()} is left"


@contextmanager
def stack(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "igstats_dev", "up", "--data", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if words in line:
            return said
    pytest.fail(f"it ended without saying {words!r}: {said}")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_no_server_is_left_after(how: signal.Signals, tmp_path: Path) -> None:
    with stack(tmp_path / "data", *ALONE) as process:
        end_and_look(process, how, "nats-server", "postgres", "igstats_dev.instagram")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_service_is_left_after(how: signal.Signals, tmp_path: Path) -> None:
    with stack(tmp_path / "data") as process:
        end_and_look(process, how, "igstats_gateway", "igstats_stats", "igstats_privacy", "igstats_audit")


def end_and_look(process: subprocess.Popen[str], how: signal.Signals, *programs: str) -> None:
    read_until(process, "Ctrl-C stops everything")
    left = children(process.pid)
    names = " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in left)
    assert [program for program in programs if program not in names] == []
    process.send_signal(how)
    process.wait(ENDED_IN_TIME)
    if how is not signal.SIGKILL:
        assert process.returncode == 0
        assert [pid for pid in left if Path(f"/proc/{pid}").exists()] == []
    wait_for_end(left)


def test_nothing_is_left_after_a_signal_in_the_middle_of_the_start(tmp_path: Path) -> None:
    with stack(tmp_path / "data", *ALONE) as process:
        read_until(process, "✓ nats")
        left = children(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDED_IN_TIME) == 0
        wait_for_end(left)


def test_a_second_start_in_the_same_folder_says_who_is_there(tmp_path: Path) -> None:
    with stack(tmp_path / "data", *ALONE) as first:
        read_until(first, "Ctrl-C stops everything")
        with stack(tmp_path / "data", *ALONE) as second:
            assert second.wait(ENDED_IN_TIME) == 1
            assert second.stdout
            assert f"process {first.pid} already runs a stack" in " ".join(second.stdout.read().split())
        first.terminate()
        assert first.wait(ENDED_IN_TIME) == 0


def test_a_second_stack_beside_it_finds_other_ports(tmp_path: Path) -> None:
    with stack(tmp_path / "a", *ALONE) as first, stack(tmp_path / "b", *ALONE) as second:
        for process in (first, second):
            read_until(process, "Ctrl-C stops everything")
        chosen = [json.loads((tmp_path / name / "ports.json").read_text()) for name in ("a", "b")]
        assert set(chosen[0].values()).isdisjoint(chosen[1].values())
        for process in (first, second):
            process.terminate()
            assert process.wait(ENDED_IN_TIME) == 0
