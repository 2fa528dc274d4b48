"""A planted canary, run by privacy's own command on the database of the stack."""

import asyncio
import os
import sys

from igstats_dev.stack import Stack


async def run(stack: Stack) -> int:
    """Runs one to its end, which the command prints; answers its exit code, 0 when the erasure was proved."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "igstats_privacy", "canary"),
        env={**os.environ, **stack.environment("privacy")},
        stdin=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()
