"""The newest checkpoint of a log that its witness has signed: archives prove against it, so persons keep its lines.

A busy log has grown before the witness answers, so the checkpoint that it serves seldom has the lines. What has them is
kept in a file beside the last checkpoint signed: all replicas share that folder, a restart loses nothing, and commits
pay nothing. Should it be lost, the next answer of the witness brings another.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from igstats_kit.log import get_logger

from igstats_audit.durable import replace
from igstats_audit.errors import TileMissingError
from igstats_audit.model import Head, Log, Seal
from igstats_audit.note import Checkpoint, NoteSigner, read_checkpoint
from igstats_audit.proofs import Proofs

_SUFFIX = ".cosigned"

_log = get_logger()


class Cosigned:
    """Keeps one log's cosigned checkpoint, as its text and the lines of the witness."""

    def __init__(self, directory: Path, log: Log, proofs: Proofs, signer: NoteSigner) -> None:
        self._path = directory / f"{log}{_SUFFIX}"
        self._log = log
        self._proofs = proofs
        self._signer = signer

    async def keep(self, checkpoint: Checkpoint, cosignatures: Sequence[str]) -> None:
        """Keeps a checkpoint with verified lines, unless another process has kept a newer one."""
        try:
            await asyncio.to_thread(self._keep, checkpoint, cosignatures)
        except OSError as error:
            _log.warning("cosigned checkpoint is not kept", store=self._log, error=type(error).__name__)

    async def covering(self, index: int, head: Head) -> Seal | None:
        """The cosigned checkpoint, if it is of this log as it stands and has this entry and all before it.

        The log's own signature is made anew, under a tree that it holds and under no other.
        """
        found = await asyncio.to_thread(self._read)
        if found is None:
            return None
        checkpoint, lines = found
        if not index < checkpoint.size <= head.tree.size:
            return None
        try:
            tree = await self._proofs.tree(checkpoint.size)
        except TileMissingError:
            return None  # the proof from the newest tree will say what is lost
        if tree.root != checkpoint.root:
            _log.error("cosigned checkpoint is not of this log", store=self._log)
            return None
        return Seal(tree, self._signer.sign(checkpoint.text), lines)

    def _keep(self, checkpoint: Checkpoint, cosignatures: Sequence[str]) -> None:
        found = self._read()
        if found is None or found[0].size < checkpoint.size:
            replace(self._path, "".join((checkpoint.text, "\n", *cosignatures)).encode())

    def _read(self) -> tuple[Checkpoint, str] | None:
        """What is kept under the name of this log; None when there is nothing, or it cannot be read."""
        try:
            content = self._path.read_text(encoding="utf-8")
            checkpoint = read_checkpoint(content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("cosigned checkpoint cannot be read", store=self._log, error=type(error).__name__)
            return None
        return (checkpoint, content.partition("\n\n")[2]) if checkpoint.origin == self._signer.name else None
