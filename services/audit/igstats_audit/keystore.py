"""Where the keys of the day live: outside of PostgreSQL, so that destroying one reaches every backup of the database.

A key of the day (KEK) wraps the data keys. Nothing in the database opens without it, and it is in no dump, no WAL and
no base backup. Development keeps it in files; a cluster may put a key management service behind the same four methods.
"""

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Protocol

from igstats_kit.log import get_logger
from igstats_kit.seal import KEY_BYTES
from ulid import ULID

from igstats_audit.durable import sync

_SUFFIX = ".key"
_ID = re.compile(r"kek_[0-9a-z]{26}")
_DESTROYED = bytes(KEY_BYTES)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_log = get_logger()


class KeyStore(Protocol):
    """Keeps keys of the day. Ids sort by the time of their making."""

    def ids(self) -> list[str]:
        """Ids of all keys, the oldest first, also of one whose destruction was interrupted."""
        ...

    def read(self, kek_id: str) -> bytes:
        """The key.

        Raises:
            LookupError: It is not here, or is destroyed.
        """
        ...

    def create(self) -> str:
        """Makes a key, durable when this returns, and answers its id."""
        ...

    def destroy(self, kek_id: str) -> None:
        """Makes the key unreadable for good. Destroying it again does nothing."""
        ...


class FileKeyStore:
    """A folder that only we may enter, with a file for each key. One folder belongs to one database.

    Overwriting reaches the bytes where a file is overwritten in place. On media that write elsewhere (flash, snapshots,
    copy on write) the folder must lie on a volume that is encrypted, or in memory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close(directory)

    def ids(self) -> list[str]:
        """Ids of all keys, the oldest first, also of one whose destruction was interrupted."""
        found = [path.name.removesuffix(_SUFFIX) for path in self._directory.glob(f"*{_SUFFIX}")]
        return sorted(name for name in found if _ID.fullmatch(name))

    def read(self, kek_id: str) -> bytes:
        """The key.

        Raises:
            LookupError: It is not here, or is destroyed.
            PermissionError: Others can read it, and we cannot change that.
        """
        path = self._path(kek_id)
        try:
            _close(path)
            key = path.read_bytes()
        except FileNotFoundError as error:
            raise LookupError(kek_id) from error
        if len(key) != KEY_BYTES or key == _DESTROYED:
            raise LookupError(kek_id)
        return key

    def create(self) -> str:
        """Makes a key, durable when this returns, and answers its id."""
        kek_id = f"kek_{str(ULID()).lower()}"
        self._write(kek_id, secrets.token_bytes(KEY_BYTES), os.O_CREAT | os.O_EXCL)
        sync(self._directory)
        return kek_id

    def destroy(self, kek_id: str) -> None:
        """Overwrites the key, then removes its file; killed in between, the next call ends it."""
        try:
            self._write(kek_id, _DESTROYED, 0)
            self._path(kek_id).unlink()
        except FileNotFoundError:
            return
        sync(self._directory)

    def _path(self, kek_id: str) -> Path:
        if not _ID.fullmatch(kek_id):
            raise LookupError(kek_id)
        return self._directory / f"{kek_id}{_SUFFIX}"

    def _write(self, kek_id: str, content: bytes, flags: int) -> None:
        descriptor = os.open(self._path(kek_id), os.O_WRONLY | os.O_NOFOLLOW | flags, 0o600)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _close(path: Path) -> None:
    """Takes from others what they may do with a file or folder of ours: a volume may come opened to a group.

    Raises:
        PermissionError: It is not ours, or cannot be changed.
    """
    found = path.stat()
    if not found.st_mode & _OTHERS:
        return
    _log.warning("key of the day was open to others", key_id=path.stem)
    try:
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except OSError as error:
        text = f"{path} is open to others than its owner: chmod go= it, and rotate the key of the day"
        raise PermissionError(text) from error
