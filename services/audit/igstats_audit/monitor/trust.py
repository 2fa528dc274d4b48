"""Which keys of a log are believed: those that it was first seen with, until the log says that it goes on."""

from collections.abc import Sequence

from igstats_kit.log import get_logger

from igstats_audit.monitor.heads import Keys
from igstats_audit.monitor.memory import Memory
from igstats_audit.monitor.model import FindingKind, Observation, Rows

_log = get_logger()


async def trusted(rows: Rows, memory: Memory, given: Keys) -> tuple[Keys, Sequence[Observation]]:
    """The keys to verify with; remembers them.

    Other keys are believed under another name, when the evidence log says that the log goes on under it, with a
    checkpoint that the old keys have signed. The tree must go on as well: that is compared as ever.
    """
    if memory.keys and set(memory.keys) != set(given.verifier_keys):
        known = Keys.of(memory.keys)
        if known.origin == given.origin or not _signed(known, await rows.renamed(given.origin)):
            words = f"given are keys of {given.origin}, remembered others of {known.origin}; these are believed"
            return known, [Observation(rows.log, FindingKind.KEYS_CHANGED, "keys", words)]
        _log.warning("the log goes on under another name", store=rows.log, record=given.origin)
    memory.keys = given.verifier_keys
    return given, []


def _signed(known: Keys, note: str) -> bool:
    try:
        known.open(note)
    except ValueError:
        return False
    return True
