"""Writers of both logs that are killed: the code of the test, run as a process of its own."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from results import Line

_PROGRAM = "tests.integration.audit.kills"
_ROOT = Path(__file__).resolve().parents[1]


async def of_kills(kills: int) -> list[Line]:
    """Kills so many writers at random moments, and PostgreSQL once under them; the line that says what was left."""
    command = [sys.executable, "-m", _PROGRAM, "--kills", str(kills)]
    process = await asyncio.create_subprocess_exec(*command, cwd=_ROOT, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if not said:  # standard error has the reason
        return [Line(f"kill -9 of {kills} writers", f"broke off with {process.returncode}", "none", "", kept=False)]
    found: dict[str, Any] = json.loads(said)
    lost, forks, broken = (len(found["findings"][name]) for name in ("lost", "forks", "broken"))
    return [
        Line(
            f"kill -9 of {found['kills']} writers in pairs on both logs, and of PostgreSQL ({found['restarts']})",
            f"{lost} lost, {forks} forks, {broken} broken proofs",
            "none",
            f"acknowledged: {found['entries']:,} entries, {found['calls']:,} calls; seed {found['seed']}",
            process.returncode == 0,
        )
    ]
