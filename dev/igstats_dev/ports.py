"""Ports of the stack: the ones people remember when they are free, any free ones when not, the same at every start."""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from igstats_kit.testing.environment import SERVICES
from igstats_kit.testing.processes import free_port, port_is_free

PREFERRED = {
    "gateway-http": 8443,
    "gateway-grpc": 8444,
    "instagram": 8090,
    "drop": 8091,
    "mail-http": 8025,
    "mail-smtp": 1025,
    "postgres": 5543,
    "nats": 4243,
}
NAMES = (
    *PREFERRED,
    "nats-monitor",
    *(f"{program}-{face}" for program in (*SERVICES, "monitor") for face in ("rpc", "health", "metrics")),
)


@contextmanager
def reserved(file: Path) -> Iterator[dict[str, int]]:
    """A free port for each name, the one of last time if it can be had; remembers the choice in the file.

    Stacks that start side by side get different ports: each holds locks on its own while the block runs.
    """
    last: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        last = json.loads(file.read_text())
    with contextlib.ExitStack() as locks:
        chosen = {name: _reserve(locks, last.get(name, PREFERRED.get(name, 0))) for name in NAMES}
        file.write_text(json.dumps(chosen, indent=2))
        yield chosen


def _reserve(locks: contextlib.ExitStack, wanted: int) -> int:
    port = wanted or free_port()
    while not (port_is_free(port) and _lock(locks, port)):
        port = free_port()
    return port


def _lock(locks: contextlib.ExitStack, port: int) -> bool:
    """Takes the lock of the port, unless a stack has it (this one included)."""
    folder = Path(tempfile.gettempdir()) / f"igstats-ports-{os.geteuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    file = (folder / str(port)).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    locks.enter_context(file)
    return True
