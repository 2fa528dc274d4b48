"""What a verification says: typed findings, and the facts that stand when there is none."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Check(StrEnum):
    """What was checked when something was found wrong."""

    ARCHIVE_MALFORMED = "ARCHIVE_MALFORMED"
    FILE_MISSING = "FILE_MISSING"
    FILE_DIFFERS = "FILE_DIFFERS"
    FILE_UNKNOWN = "FILE_UNKNOWN"
    LOG_KEY_MALFORMED = "LOG_KEY_MALFORMED"
    LOG_KEY_UNTRUSTED = "LOG_KEY_UNTRUSTED"
    CHECKPOINT_MALFORMED = "CHECKPOINT_MALFORMED"
    CHECKPOINT_SIGNATURE = "CHECKPOINT_SIGNATURE"
    WITNESS_KEY_MALFORMED = "WITNESS_KEY_MALFORMED"
    WITNESS_SIGNATURE = "WITNESS_SIGNATURE"
    WITNESS_MISSING = "WITNESS_MISSING"
    TREE_EMPTY = "TREE_EMPTY"
    ENTRIES_MISSING = "ENTRIES_MISSING"
    ENTRY_ORDER = "ENTRY_ORDER"
    LEAF_MALFORMED = "LEAF_MALFORMED"
    LEAF_KIND = "LEAF_KIND"
    LEAF_TIME = "LEAF_TIME"
    COMMITMENT = "COMMITMENT"
    PROOF_MALFORMED = "PROOF_MALFORMED"
    PROOF_CHECKPOINT = "PROOF_CHECKPOINT"
    INCLUSION = "INCLUSION"
    PAYLOAD_MALFORMED = "PAYLOAD_MALFORMED"
    PRODUCER = "PRODUCER"
    REQUEST = "REQUEST"
    TASK = "TASK"
    HOLDER_KEY_MALFORMED = "HOLDER_KEY_MALFORMED"
    HOLDER_KEY_MISSING = "HOLDER_KEY_MISSING"
    HOLDER_KEY_UNTRUSTED = "HOLDER_KEY_UNTRUSTED"
    RECEIPT_SIGNATURE = "RECEIPT_SIGNATURE"
    RECEIPT_CHAIN = "RECEIPT_CHAIN"
    CLOSING_MISSING = "CLOSING_MISSING"
    CLOSING_REPEATED = "CLOSING_REPEATED"
    CLOSING_EMPTY = "CLOSING_EMPTY"
    STATE_UNKNOWN = "STATE_UNKNOWN"
    ATTESTATION_MISSING = "ATTESTATION_MISSING"
    ATTESTATION_DIGEST = "ATTESTATION_DIGEST"
    PHASE_MISSING = "PHASE_MISSING"
    HOLDER_UNLISTED = "HOLDER_UNLISTED"
    RIGHT_MISMATCH = "RIGHT_MISMATCH"
    OUTCOME_IMPOSSIBLE = "OUTCOME_IMPOSSIBLE"
    OUTCOME_MISMATCH = "OUTCOME_MISMATCH"
    OUTCOME_UNSETTLED = "OUTCOME_UNSETTLED"
    TIME_ORDER = "TIME_ORDER"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold: what was checked, where, and in words."""

    check: Check
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """The last word of one holder, as it signed it."""

    holder: str
    outcome: str
    counts: tuple[tuple[str, int], ...]
    retained: tuple[str, ...]
    executed_time: datetime
    effective_time: datetime | None
    phases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A trusted witness has signed the checkpoint, and names the time."""

    name: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result. The facts are proved only when there are no findings."""

    findings: tuple[Finding, ...]
    request_id: str
    state: str = ""
    closed_time: datetime | None = None
    origin: str = ""
    tree_size: int = 0
    signed_with: tuple[str, ...] = ()
    entry_count: int = 0
    statements: tuple[Statement, ...] = ()
    keys_pinned: bool = False
    witnesses: tuple[Witnessed, ...] = ()
    unknown_signers: tuple[str, ...] = ()
    """Who else has signed the checkpoint by its lines; no key of theirs is trusted, so nothing was checked."""

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.findings


class Findings(list[Finding]):
    """Findings so far."""

    def note(self, check: Check, where: str, text: object) -> None:
        """Adds one."""
        self.append(Finding(check, where, str(text)))
