"""Imports every service with only what it declares, and the wheel of the stubs at its floor and newest runtime.

The development environment holds everything, so it would hide an import that a service forgot to declare.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "isolate"
UV = os.environ.get("UV", "uv")
# The member of the workspace, and the module that pulls in the rest of it.
MEMBERS = {
    "igstats-gateway": "igstats_gateway.app",
    "igstats-stats": "igstats_stats.app",
    "igstats-privacy": "igstats_privacy.app",
    "igstats-audit": "igstats_audit.app",
    "igstats-client": "igstats_client.command",
}
FLOOR = ("protobuf==6.31.*", "grpcio==1.74.*")
NEWEST = ("protobuf", "grpcio")
IMPORT_ALL = """
import importlib, pathlib, sys
import google.protobuf, grpc, igstats
root = pathlib.Path(igstats.__file__).parent
stubs = sorted(root.rglob("*_pb2*.py"))
for path in stubs:
    importlib.import_module(".".join(("igstats", *path.relative_to(root).with_suffix("").parts)))
sources = list(root.rglob("*.proto"))
assert len(stubs) > 20 and sources and (root / "py.typed").is_file(), (stubs, sources)
print(f"  {len(stubs)} stubs, {len(sources)} sources: protobuf {google.protobuf.__version__}, grpc {grpc.__version__}")
"""


def run(*command: str | Path, environment: str | None = None) -> None:
    """Runs a command to its end; a failure ends this script too."""
    chosen = {} if environment is None else {"UV_PROJECT_ENVIRONMENT": environment}
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, env={**os.environ, **chosen})


def isolate(member: str, module: str) -> None:
    """Installs one member and what it declares into an environment of its own, and imports it there."""
    print(f"== {member}", flush=True)
    home = BUILD / member
    run(UV, "sync", "--quiet", "--package", member, "--no-dev", "--frozen", environment=str(home))
    run(home / "bin" / "python", "-I", "-c", f"import {module}; print('  imported {module}')")


def test_wheel() -> None:
    """Builds the wheel of the stubs and imports every stub on the oldest and on the newest runtime."""
    folder = BUILD / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    run(UV, "build", "--quiet", "--package", "igstats-protos", "--wheel", "--out-dir", folder)
    (wheel,) = folder.glob("*.whl")
    for name, runtime in (("floor", FLOOR), ("newest", NEWEST)):
        print(f"== igstats-protos at its {name} runtime", flush=True)
        pins = [part for pin in (str(wheel), *runtime) for part in ("--with", pin)]
        run(UV, "run", "--quiet", "--no-project", "--isolated", *pins, "python", "-I", "-W", "error", "-c", IMPORT_ALL)


def main() -> int:
    """Runs every check; names on the command line choose members."""
    chosen = sys.argv[1:] or [*MEMBERS]
    try:
        for member in chosen:
            isolate(member, MEMBERS[member])
        test_wheel()
    except subprocess.CalledProcessError as error:
        print(f"failed: {error.cmd[0]} ended with {error.returncode}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
