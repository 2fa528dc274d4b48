"""What the privacy service talks about: requests, tasks, receipts, holders. Pure values, no input or output."""

from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import datetime
from enum import StrEnum

CANARY = "canary"
"""The door of planted canaries; nobody else may open a request by it."""


class Right(StrEnum):
    """Names of igstats.holder.v1.Right without prefix."""

    ACCESS = "ACCESS"
    ERASURE = "ERASURE"
    RESTRICTION = "RESTRICTION"
    LIFTING = "LIFTING"
    CORRECTION = "CORRECTION"
    PORTABILITY = "PORTABILITY"
    OBJECTION = "OBJECTION"
    OPT_OUT = "OPT_OUT"
    OPT_IN = "OPT_IN"
    CATEGORIES = "CATEGORIES"
    PREVIEW = "PREVIEW"


class Regime(StrEnum):
    """Names of igstats.privacy.v1.Regime without prefix; one that is not stated reads as GDPR."""

    GDPR = "GDPR"
    CCPA = "CCPA"
    GDPR_AND_CCPA = "GDPR_AND_CCPA"
    VOLUNTARY = "VOLUNTARY"


class SubjectClass(StrEnum):
    """Names of igstats.privacy.v1.SubjectClass without prefix."""

    UNSPECIFIED = "UNSPECIFIED"
    CONTACT = "CONTACT"
    TENANT = "TENANT"
    CALLER = "CALLER"
    PROFILE_OWNER = "PROFILE_OWNER"
    UNCONNECTED_OWNER = "UNCONNECTED_OWNER"
    COMMENTER = "COMMENTER"


class Wait(StrEnum):
    """Names of igstats.privacy.v1.Wait without prefix: what a request waits for in TRIAGE."""

    UNSPECIFIED = "UNSPECIFIED"
    APPROVAL = "APPROVAL"
    SECOND_APPROVAL = "SECOND_APPROVAL"
    WINDOW = "WINDOW"


class Phase(StrEnum):
    """Names of igstats.holder.v1.Phase without prefix."""

    FENCE = "FENCE"
    ERASE = "ERASE"
    SWEEP = "SWEEP"
    ATTEST = "ATTEST"
    EXPORT = "EXPORT"
    RESTRICT = "RESTRICT"
    LIFT = "LIFT"
    CORRECT = "CORRECT"
    OBJECT = "OBJECT"
    RESUME = "RESUME"
    PREVIEW = "PREVIEW"


class State(StrEnum):
    """Names of igstats.privacy.v1.RequestState without prefix."""

    RECEIVED = "RECEIVED"
    IDENTITY_PENDING = "IDENTITY_PENDING"
    TRIAGE = "TRIAGE"
    ACCEPTED = "ACCEPTED"
    FENCING = "FENCING"
    EXECUTING = "EXECUTING"
    VERIFYING = "VERIFYING"
    SETTLING = "SETTLING"
    FULFILLED = "FULFILLED"
    FULFILLED_IN_PART = "FULFILLED_IN_PART"
    DENIED = "DENIED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class TaskState(StrEnum):
    """Names of igstats.privacy.v1.TaskState without prefix."""

    PLANNED = "PLANNED"
    OFFERED = "OFFERED"
    LEASED = "LEASED"
    SETTLED = "SETTLED"
    BLOCKED = "BLOCKED"


class Outcome(StrEnum):
    """Names of igstats.holder.v1.Outcome without prefix."""

    DONE = "DONE"
    ERASED = "ERASED"
    NOT_HELD = "NOT_HELD"
    RETAINED = "RETAINED"
    AWAITING_PROCESSOR = "AWAITING_PROCESSOR"
    NEEDS_HUMAN = "NEEDS_HUMAN"
    EXPORTED = "EXPORTED"
    RESTRICTED = "RESTRICTED"
    LIFTED = "LIFTED"
    CORRECTED = "CORRECTED"
    OPTED_OUT = "OPTED_OUT"
    OPTED_IN = "OPTED_IN"


class Cause(StrEnum):
    """Why a task is BLOCKED."""

    NEEDS_HUMAN = "NEEDS_HUMAN"
    DISABLED = "DISABLED"
    LATE = "LATE"


@dataclass(frozen=True, order=True)
class Identifier:
    """One name of a person; `kind` is a name of igstats.holder.v1.IdentifierKind without prefix."""

    kind: str
    value: str = attribute(repr=False)


@dataclass(frozen=True)
class Correction:
    """A value that the person says is wrong; `field` is "store.column" of a holder's description."""

    field: str
    value: str = attribute(repr=False)


@dataclass(frozen=True)
class Naming:
    """Who a request is about, and the account that opened it: everything in it that names somebody."""

    account_id: str
    identifiers: tuple[Identifier, ...]
    corrections: tuple[Correction, ...] = ()
    reply_address: str = attribute(default="", repr=False)
    language: str = ""
    tokens: tuple[bytes, ...] = ()
    """Of a person whose names are destroyed: an erasure that goes on has nothing else."""


@dataclass(frozen=True, order=True)
class TaskKey:
    """Which task: written "<request_id>/<holder>/<PHASE>" wherever it travels."""

    request_id: str
    holder: str
    phase: Phase

    def __str__(self) -> str:
        return f"{self.request_id}/{self.holder}/{self.phase}"

    @classmethod
    def parse(cls, text: str) -> "TaskKey | None":
        """Reads a task id; None when it is none of ours."""
        request_id, _, rest = text.partition("/")
        holder, _, phase = rest.partition("/")
        known = Phase.__members__.get(phase)
        return cls(request_id, holder, known) if request_id and holder and known else None


@dataclass(frozen=True)
class NewRequest:
    """What a door hands in."""

    right: Right
    door: str
    account_id: str
    identifiers: tuple[Identifier, ...]
    idempotency_key: str
    identity_proof: str = ""
    regime: Regime = Regime.GDPR
    corrections: tuple[Correction, ...] = ()
    reply_address: str = attribute(default="", repr=False)
    language: str = ""
    parent_id: str = ""
    received_at: datetime | None = None
    tokens: tuple[bytes, ...] = ()
    ledger_token: bytes = b""
    automatic: bool = False
    """Brought about by the wait of its parent, and opened by nobody."""


@dataclass(frozen=True)
class Request:
    """A request as stored: it names nobody. `account_token` finds those of an account, b"" for none.

    `ledger_token` is the person under the key of the request ledger; `confirmed_at` is when receipt was confirmed.
    """

    request_id: str
    reference: str
    right: Right
    state: State
    account_token: bytes
    door: str
    identity_proof: str
    received_at: datetime
    due_at: datetime
    closed_at: datetime | None
    effective_at: datetime | None
    blocked: bool
    reason: str
    regime: Regime = Regime.GDPR
    subject_class: SubjectClass = SubjectClass.UNSPECIFIED
    parent_id: str = ""
    duplicate_of: str = ""
    wait: Wait = Wait.UNSPECIFIED
    wait_until: datetime | None = None
    confirm_due_at: datetime | None = None
    extended_at: datetime | None = None
    confirmed_at: datetime | None = None
    ledger_token: bytes = b""
    automatic: bool = False


@dataclass(frozen=True)
class Waiting:
    """A request that triage must look at."""

    request_id: str
    right: Right
    state: State
    identity_proof: str
    sealed: bytes
    door: str
    regime: Regime
    parent_id: str
    due_at: datetime
    wait: Wait
    wait_until: datetime | None
    approved: bool
    automatic: bool


@dataclass(frozen=True)
class Acceptance:
    """What triage found out about a proved request. `lasting` are those of the tokens that stay the person's."""

    request_id: str
    right: Right
    proof: str
    sealed: bytes
    tokens: tuple[bytes, ...]
    lasting: tuple[bytes, ...]
    subject_class: SubjectClass
    due_at: datetime
    duplicate_of: str = ""
    wait: Wait = Wait.UNSPECIFIED
    wait_until: datetime | None = None
    ledger_token: bytes = b""


@dataclass(frozen=True)
class Receipt:
    """What a holder stated about a task. `raw`, `signature` and `key_id` are kept exactly as they came."""

    task: TaskKey
    right: Right
    outcome: Outcome
    effective_at: datetime | None
    raw: bytes
    signature: bytes
    key_id: str
    digest: bytes


@dataclass(frozen=True)
class Task:
    """One task as seen from outside; `receipt` is the serialised Receipt that settled or blocked it."""

    holder: str
    phase: Phase
    state: TaskState
    outcome: Outcome | None
    cause: Cause | None
    attempts: int
    settled_at: datetime | None
    receipt: bytes


@dataclass(frozen=True)
class Shown:
    """A request as shown to someone now, with its tasks when they were asked for."""

    request: Request
    overdue: bool
    tasks: tuple[Task, ...] = ()
    account_id: str = ""
    status_code: str = ""
    extension_reasons: str = ""
    """Why the due time was extended, as the person is told."""


@dataclass(frozen=True)
class Hold:
    """Stores of a person that stay, as (holder, store), why and until when. `kept_back`: erasures that it kept back."""

    hold_id: str
    groups: tuple[tuple[str, str], ...]
    ground: str
    reason: str
    until: datetime
    review_at: datetime
    placed_at: datetime
    placed_by: str
    released_at: datetime | None = None
    kept_back: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()

    def at(self, holder: str) -> tuple[str, ...]:
        """The stores that stay at one holder."""
        return tuple(store for other, store in self.groups if other == holder)


@dataclass(frozen=True)
class Lease:
    """One task as handed to its holder: the only place where identifiers leave this service."""

    task: TaskKey
    right: Right
    identifiers: tuple[Identifier, ...]
    tokens: tuple[bytes, ...]
    attempt: int
    due_at: datetime
    corrections: tuple[Correction, ...] = ()
    holds: tuple[Hold, ...] = ()
    ended: tuple[Right, ...] = ()
    """What an opt-in ends."""


@dataclass(frozen=True)
class Holder:
    """A registered holder; `description` is the serialised HolderDescription it announced."""

    name: str
    description: bytes
    description_digest: bytes
    store_count: int
    public_key: bytes
    registered_at: datetime
    seen_at: datetime
    enabled: bool


@dataclass(frozen=True)
class Erasure:
    """One entry of the erasure ledger: keyed tokens only; how its request stands at the holder that reads it."""

    sequence: int
    request_id: str
    tokens: tuple[bytes, ...]
    accepted_at: datetime
    holds: tuple[Hold, ...] = ()
    pending: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Change:
    """A request went from one state to another (`old` is None when it came)."""

    request_id: str
    old: State | None
    new: State


@dataclass(frozen=True)
class HolderWord:
    """The last word of one holder on a closed request."""

    holder: str
    outcome: Outcome
    receipt_digest: bytes


@dataclass(frozen=True)
class Recipient:
    """An account that got a person's data from us: what it was told about whom, and when; "" for nothing yet."""

    notice_id: str
    account_id: str
    instagram_user_ids: tuple[str, ...]
    told: str
    fields: tuple[str, ...]
    told_at: datetime | None
