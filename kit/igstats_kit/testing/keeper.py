"""Holds one PostgreSQL for all processes of a test run, and ends with the last of them.

`python -m igstats_kit.testing.keeper FOLDER` is started by the first test process that needs it. Every user of the
server holds a shared lock on FOLDER/users.lock; the kernel lets go of it even when the user is killed. The keeper
waits for the exclusive lock, which it gets when nobody is left.

The data lie in memory where there is room: a database is some 900 small files, and a test that copies one spends a
third of a second on making them on a disk.
"""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import free_port

MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps files in memory; their names are random
_ROOM = 2 << 30
_PREFIX = "igstats-postgres-"


def locked(path: Path, kind: int = fcntl.LOCK_EX) -> IO[bytes]:
    """Takes a file lock, however long that takes; closing the file lets go of it."""
    file = path.open("ab")
    fcntl.flock(file, kind)
    return file


@contextmanager
def shared_postgres(folder: Path) -> Iterator[Postgres]:
    """The run's server, started when it does not run; it lives until everyone has left this block."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "start.lock"):
        users = locked(folder / "users.lock", fcntl.LOCK_SH)  # waits while an earlier keeper clears away
        if not (folder / "ready.json").exists():
            _start_keeper(folder)
    with users:
        ready = json.loads((folder / "ready.json").read_text())
        yield Postgres(Path(ready["home"]), port=ready["port"], durable=False)


def _start_keeper(folder: Path) -> None:
    """Starts the keeper; returns when its server is ready."""
    command = (sys.executable, "-m", "igstats_kit.testing.keeper", str(folder))
    with (folder / "keeper.log").open("ab") as log:
        done = subprocess.run(  # noqa: S603 - our own module
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"the test database did not start: {(folder / 'keeper.log').read_text()[-2000:]}")


@contextmanager
def data_home(folder: Path, memory: Path = MEMORY) -> Iterator[Path]:
    """An empty folder for as long as the block runs: in memory where there is room, else in `folder`."""
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= _ROOM
    place = memory if roomy else folder
    _clear_away(place)
    home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    home.chmod(0o711)  # the server may run as somebody else
    with locked(home / "kept.lock"):
        try:
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _clear_away(place: Path) -> None:
    """Removes what keepers left that were killed: nobody holds the lock."""
    for lock in place.glob(f"{_PREFIX}*/kept.lock"):
        with suppress(OSError), lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


async def keep(folder: Path, on_ready: Callable[[], None]) -> None:
    """Starts the server, says so, stops it when its last user has gone."""
    with data_home(folder) as home:
        server = Postgres(home, port=free_port(), durable=False)
        try:
            await server.start()
            ready = folder / "ready.json"
            ready.write_text(json.dumps({"port": server.port, "pid": os.getpid(), "home": str(home)}))
            on_ready()
            with await asyncio.to_thread(locked, folder / "users.lock"):
                ready.unlink()
                await server.stop()
        finally:
            await server.stop()


def detach(folder: Path) -> int:
    """Leaves a keeper behind; returns 0 when its server is ready, 1 when it failed."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            return 0 if pipe.read() else 1
    os.close(reader)

    def ready() -> None:
        os.write(writer, b"ready")
        os.close(writer)

    asyncio.run(keep(folder, ready))
    return 0


if __name__ == "__main__":
    sys.exit(detach(Path(sys.argv[1])))
