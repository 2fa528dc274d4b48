import asyncio
import sys
from pathlib import Path

import pytest
from igstats_dev.parts import Process
from igstats_dev.report import SilentReport
from igstats_dev.supervisor import FIRST_PAUSE, LONGEST_PAUSE, Supervised
from igstats_kit.testing.processes import Child, ProcessError, Program

RUNS = "import signal; signal.pause()"
DIES = "print('cannot go on'); raise SystemExit(3)"


async def at_once() -> None:
    return


async def never() -> None:
    await asyncio.Event().wait()


def program(folder: Path, code: str) -> Program:
    return Program("toy", (sys.executable, "-I", "-S", "-c", code), folder / "toy.log")


async def test_a_program_that_ends_before_it_is_ready_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    part = Supervised("toy", Process(program(tmp_path, DIES), never), SilentReport())
    with pytest.raises(ProcessError, match="toy ended with code 3: cannot go on"):
        await part.start()


async def test_a_dead_program_comes_back_and_the_death_is_reported(tmp_path: Path) -> None:
    report = SilentReport()
    part = Supervised("toy", Process(program(tmp_path, RUNS), at_once), report)
    await part.start()
    first = part.child.pid
    await part.kill()
    await part.ready()
    assert part.child.pid != first
    assert part.restarts == 1
    assert report.deaths == [f"toy killed by signal 9, again in {FIRST_PAUSE:g} s"]
    await part.stop()
    assert not part.child.running


async def test_the_pause_doubles_while_it_keeps_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("igstats_dev.supervisor.FIRST_PAUSE", 0.01)
    report = SilentReport()
    part = Supervised("toy", Process(program(tmp_path, RUNS), at_once), report)
    await part.start()
    for _ in range(3):
        await part.kill()
        await part.ready()
    assert [death.rpartition("again in ")[2] for death in report.deaths] == ["0.01 s", "0.02 s", "0.04 s"]
    assert LONGEST_PAUSE == 10
    await part.stop()


async def test_a_stopped_part_stays_stopped_until_it_is_started(tmp_path: Path) -> None:
    report = SilentReport()
    part = Supervised("toy", Process(program(tmp_path, RUNS), at_once), report)
    await part.start()
    await part.stop()
    assert report.deaths == []
    await part.start()
    assert part.child.running
    await part.stop()


async def test_a_program_that_ignores_the_wish_to_end_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(r'{}', 'w').close(); signal.pause()"
    told = tmp_path / "deaf"
    child = await Child.start(program(tmp_path, deaf.format(told)))
    await child.ready(told.exists)
    assert await child.stop(grace=0.05) == -9
