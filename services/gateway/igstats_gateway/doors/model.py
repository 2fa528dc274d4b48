"""What a door hands in and what it may say about it. Pure; the words are those of igstats.privacy.v1 without prefix."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Right(StrEnum):
    """Names of igstats.holder.v1.Right that a door may ask for."""

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


class Kind(StrEnum):
    """Names of igstats.holder.v1.IdentifierKind."""

    INSTAGRAM_USER_ID = "INSTAGRAM_USER_ID"
    USERNAME = "USERNAME"
    EMAIL = "EMAIL"
    ACCOUNT_ID = "ACCOUNT_ID"
    CONTACT_ID = "CONTACT_ID"
    EMAIL_SHA256 = "EMAIL_SHA256"
    APP_USER_ID = "APP_USER_ID"


class Regime(StrEnum):
    """Names of igstats.privacy.v1.Regime."""

    UNSPECIFIED = "UNSPECIFIED"
    GDPR = "GDPR"
    CCPA = "CCPA"
    GDPR_AND_CCPA = "GDPR_AND_CCPA"
    VOLUNTARY = "VOLUNTARY"


class State(StrEnum):
    """Names of igstats.privacy.v1.RequestState."""

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


FINAL = frozenset({State.FULFILLED, State.FULFILLED_IN_PART, State.DENIED, State.WITHDRAWN, State.EXPIRED})
"""States that nothing leaves."""


@dataclass(frozen=True)
class Identifier:
    """One name of a person. Never shown by `repr`: it may not reach a log."""

    kind: Kind
    value: str = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Correction:
    """A value that the person says is wrong: `field` as "store.column", and the right value."""

    field: str
    value: str = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Wish:
    """A request as a door hands it in. The same key with the same content opens the same request."""

    door: str
    idempotency_key: str
    right: Right
    identifiers: tuple[Identifier, ...]
    identity_proof: str = ""
    """How the door proved the identity, in words; "" when it did not."""
    regime: Regime = Regime.UNSPECIFIED
    account_id: str = ""
    corrections: tuple[Correction, ...] = ()
    reply_address: str = dataclasses.field(default="", repr=False)
    language: str = ""
    parent_id: str = ""
    received_at: datetime | None = None


@dataclass(frozen=True)
class Opened:
    """A request as privacy stores it, without its tasks and without anything about its person."""

    request_id: str
    reference: str
    status_code: str
    right: Right
    state: State
    door: str
    received_at: datetime
    due_at: datetime
    regime: Regime = Regime.UNSPECIFIED
    closed_at: datetime | None = None
    effective_at: datetime | None = None
    extended_at: datetime | None = None
    confirm_due_at: datetime | None = None
    wait: str = ""
    """APPROVAL, SECOND_APPROVAL, WINDOW; "" when it waits for nothing."""
    wait_until: datetime | None = None
    blocked: bool = False
    overdue: bool = False
    reason: str = ""
    """Why it was denied: a name of igstats.privacy.v1.DenialReason without prefix."""
    identity_proof: str = ""
    duplicate_of: str = ""
    extension_reasons: str = ""
    """Why the due time was extended, in the words of the letter to the person."""

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL


@dataclass(frozen=True)
class Justification:
    """Why something was refused, or stays."""

    about: str
    ground: str
    explanation: str
    until: datetime | None = None


@dataclass(frozen=True)
class Status:
    """Where a request stands, for whoever holds its status code."""

    request: Opened
    holders_done: int = 0
    holders_total: int = 0
    justifications: tuple[Justification, ...] = ()
    proof_methods: tuple[str, ...] = ()
    """Ways of proving the identity that are open now: mail_code, points, login, account."""
    package_methods: tuple[str, ...] = ()
    """Ways of proving it once more that open the package: login."""
    letters: bool = False
    """Whether letters leave at all."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What partners are told in words: why something was refused or stays, and why it takes longer."""
        said = [f"{one.about}: {one.explanation or one.ground}." for one in self.justifications]
        if self.request.extended_at is not None:
            said.append(f"The time to answer was extended until {self.request.due_at:%Y-%m-%d}.")
            said.append(self.request.extension_reasons)
        return tuple(filter(None, said))


@dataclass(frozen=True)
class Category:
    """One category of personal data as the declarations describe it."""

    category: str
    keys: tuple[str, ...]
    sources: tuple[str, ...]
    purposes: tuple[str, ...]
    recipients: tuple[str, ...]
    retentions: tuple[str, ...]
    sold: bool


@dataclass(frozen=True)
class Disclosure:
    """All categories, and when they were put together."""

    categories: tuple[Category, ...]
    described_at: datetime
