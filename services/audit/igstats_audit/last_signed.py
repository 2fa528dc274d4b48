"""The newest checkpoint that a log has signed, in a file outside PostgreSQL: by it a database that was put back shows.

A log that has lost entries must not go on under its name: it would sign another tree of a size that it has signed
before, and nobody who holds the older checkpoint could tell a restore from a forgery (RFC 6962, section 2.1.2). The
folder is that of the keys of the day: all replicas share it, and it is in no backup that could go back with the
database.
"""

import asyncio
from pathlib import Path

from igstats_kit.errors import DomainError, Reason
from igstats_kit.worker import regularly

from igstats_audit.durable import replace
from igstats_audit.errors import LogPutBackError, TileMissingError
from igstats_audit.model import Head, Log
from igstats_audit.note import Checkpoint, read_checkpoint
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer

_LOOK_SECONDS = 1.0  # what is signed within it before a crash is not remembered: restores go back further
_SUFFIX = ".signed"


class LastSigned:
    """Remembers what one log has signed, and holds a database against it."""

    def __init__(self, directory: Path, log: Log, origin: str, proofs: Proofs, sequencer: Sequencer) -> None:
        self._path = directory / f"{log}{_SUFFIX}"
        self._log = log
        self._origin = origin
        self._proofs = proofs
        self._sequencer = sequencer
        self._kept: Head | None = None

    async def require_continued(self) -> None:
        """Checks that the log in the database continues what was signed under its name.

        Raises:
            LogPutBackError: It has lost entries, or holds others.
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        last = await asyncio.to_thread(self._read)
        if last is None or last.size == 0:
            return
        size = (await self._proofs.head()).tree.size
        if size < last.size:
            raise LogPutBackError(self._log, f"has {size} entries, and {last.size} were signed")
        try:
            root = await self._proofs.root(last.size)
        except TileMissingError:
            return  # cut since then: entries that stand behind the checkpoint for as long as that are no restore
        if root != last.root:
            raise LogPutBackError(self._log, f"holds others than the first {last.size} entries that were signed")

    async def run(self) -> None:
        """Writes down what is signed, once a second at most, until cancelled."""
        await regularly(self.keep, _LOOK_SECONDS, "last checkpoint is not kept")

    async def keep(self) -> None:
        """Writes down the newest head that this process has signed, unless another process was further already.

        Raises:
            LogPutBackError: The file is no checkpoint.
            DomainError: DEPENDENCY_UNAVAILABLE; the folder cannot be reached.
        """
        newest = self._sequencer.newest
        if newest is not None and newest is not self._kept:
            await asyncio.to_thread(self._keep, newest)
            self._kept = newest

    def _keep(self, newest: Head) -> None:
        try:
            last = self._read()
            if last is None or last.size < newest.tree.size:
                replace(self._path, newest.checkpoint.encode())
        except OSError as error:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="keys") from error

    def _read(self) -> Checkpoint | None:
        """What was signed last under this name. The file of another name says nothing about this one."""
        try:
            found = read_checkpoint(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise LogPutBackError(self._log, f"cannot be held against {self._path}, which is no checkpoint") from error
        return found if found.origin == self._origin else None
