"""The environment of the verifiers that are not ours, made once for each user and requirements file."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"


def programs() -> Path:
    """The folder of their programs; a test that cannot have them fails."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "igstats"
    cache.mkdir(parents=True, exist_ok=True)
    made_from = REQUIREMENTS.read_bytes() + sys.version.encode()
    home = cache / f"second-opinions-{hashlib.sha256(made_from).hexdigest()[:16]}"
    with alone(home.with_suffix(".lock")):
        if not (home / "complete").exists():
            install(home)
            (home / "complete").touch()
    return home / "bin"


def find_uv() -> str:
    own = HERE.parents[1] / ".uv" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        pytest.fail("second opinions need uv, in PATH or as the environment variable UV")
    return found


def install(home: Path) -> None:
    uv = find_uv()
    for command in (
        [uv, "venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "--quiet", "--require-hashes", "--python", str(home), "-r", str(REQUIREMENTS)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
        if done.returncode:
            pytest.fail(f"cannot install the verifiers of {REQUIREMENTS.name}: {done.stderr.strip()}")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
