"""Becomes the program named after `--`, tied to the process that started it.

Run as `python -I -S launch.py SIGNAL PARENT USER -- program arguments...` (USER may be empty).
The program gets SIGNAL when its parent dies, even by kill -9, and runs as USER when that is set.
"""

import contextlib
import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}{arguments} failed")


def _keep_file_access() -> None:
    """Lets the changed user enter folders that only root can (a home folder), by one ambient capability."""
    mask = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0))
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def become(user: str) -> None:
    """Changes to the user for good; PostgreSQL refuses to run as root."""
    entry = pwd.getpwnam(user)
    if sys.platform == "linux":
        _call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may withhold it; open folders then work still
            _keep_file_access()


def tie_to_parent(signal: int, parent: int) -> None:
    """Asks the kernel for the signal when the parent dies; leaves at once when it is dead already."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"the parent process {parent} is gone")


def main(arguments: list[str]) -> None:
    """Changes user, ties itself to the parent, becomes the program."""
    signal, parent, user, _, *program = arguments
    if user:
        become(user)
    tie_to_parent(int(signal), int(parent))  # after the user: a change of user clears the wish
    os.execvp(program[0], program)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
