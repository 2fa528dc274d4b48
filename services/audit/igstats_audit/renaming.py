"""A log goes on under another name: after a restore that lost entries, or because its keys are to be replaced.

Nothing is ever signed under the old name again, so no two trees of one size can bear it. The tree goes on, and with it
every proof: those who hold a checkpoint of the old name can have it shown that the new tree continues what is left of
it, or see that it does not (C2SP tlog-checkpoint: the origin identifies the log, and goes with its key).
"""

import json
from datetime import datetime
from typing import Protocol

from igstats_kit.errors import SpeakingError

from igstats_audit.batch import signed
from igstats_audit.model import Head, Log, NewEntry
from igstats_audit.note import NoteSigner, read_checkpoint

LOG_RENAMED = "log.renamed"
_PRODUCER = "audit"


class NameTakenError(SpeakingError):
    """The head bears the new name already, with another signature: a name belongs to the keys that it began with."""


class Heads(Protocol):
    """Where the head of a log is kept."""

    @property
    def log(self) -> Log:
        """Which log."""
        ...

    async def head(self) -> Head:
        """Reads the head."""
        ...

    async def rename(self, head: Head, checkpoint: str) -> bool:
        """Replaces the checkpoint of a head; False when the log has moved on."""
        ...


async def rename(heads: Heads, signer: NoteSigner) -> Head | None:
    """Signs the head of a log under its new name; answers the head as it was, None when it bears the name already.

    Raises:
        NameTakenError: See there; also when somebody still writes to the log.
        LogForkedError: The parts of the head do not agree.
        DomainError: DEPENDENCY_UNAVAILABLE.
    """
    head = await heads.head()
    if head.checkpoint == signed(signer, head.tree, head.epoch).checkpoint:
        return None
    if read_checkpoint(head.checkpoint).origin == signer.name:
        text = f"the log {heads.log} is {signer.name} under another key: set another IGSTATS_AUDIT_LOG_ORIGIN"
        raise NameTakenError(text)
    if not await heads.rename(head, signed(signer, head.tree, head.epoch + 1).checkpoint):
        raise NameTakenError(f"the log {heads.log} was written to meanwhile: stop the audit service first")
    return head


def announcement(log: Log, old: Head, new: str, moment: datetime) -> NewEntry:
    """What the evidence log says about a renaming: the last checkpoint of the old name, and the new name."""
    said = {"log": log, "last_checkpoint": old.checkpoint, "name": new}
    payload = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return NewEntry(f"renamed/{new}/{old.tree.size}", LOG_RENAMED, "", _PRODUCER, payload, moment)
