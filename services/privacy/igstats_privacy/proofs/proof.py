"""One proof of one request: by which method, how far it has come, and which of the request's identifiers it covers."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

TRIES = 5
"""Wrong answers before a lock."""
LOCKED_FOR = timedelta(hours=1)


class Tier(StrEnum):
    """Names of igstats.privacy.v1.Tier without prefix."""

    UNSPECIFIED = "UNSPECIFIED"
    ACCOUNT = "ACCOUNT"
    REASONABLE = "REASONABLE"
    HIGH = "HIGH"
    PLATFORM = "PLATFORM"


class Method(StrEnum):
    """How an identity is proved. The first four are carried out here; the others are the word of a door or officer."""

    MAIL_CODE = "mail_code"
    POINTS = "points"
    LOGIN = "login"
    ACCOUNT = "account"
    CONNECTION = "connection"
    META = "meta"
    AGENT = "agent"
    OFFICER = "officer"


class ProofState(StrEnum):
    """How far a proof has come."""

    OPEN = "OPEN"
    PROVED = "PROVED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True)
class Proof:
    """A proof as stored, one for each request, method and channel. It holds keyed tokens and digests, no name."""

    request_id: str
    method: Method
    created_at: datetime
    expires_at: datetime
    channel: bytes = b""
    tier: Tier = Tier.UNSPECIFIED
    state: ProofState = ProofState.OPEN
    covers: tuple[bytes, ...] = ()
    secret: bytes | None = None
    """Digest of the code or of the sign-in's state that is in force; None when there is none."""
    tries: int = 0
    locked_until: datetime | None = None
    sends: int = 0
    sent_at: datetime | None = None

    def locked(self, now: datetime) -> bool:
        """Whether too many answers were wrong a short time ago."""
        return self.locked_until is not None and now < self.locked_until

    def tries_left(self, now: datetime) -> int:
        """Answers that may still be wrong."""
        if self.locked(now):
            return 0
        return TRIES if self.locked_until is not None else TRIES - self.tries

    def failed_once(self, now: datetime) -> "Proof":
        """After a wrong answer. The last one destroys the secret and locks; new secrets give no new tries."""
        tries = TRIES - self.tries_left(now) + 1
        if tries >= TRIES:
            return replace(self, tries=TRIES, locked_until=now + LOCKED_FOR, secret=None)
        return replace(self, tries=tries, locked_until=None)

    def proved(self, tier: Tier, covers: tuple[bytes, ...]) -> "Proof":
        """After the right answer. What proved it is not needed any more."""
        return replace(self, state=ProofState.PROVED, tier=tier, covers=covers, secret=None)

    def standing(self, now: datetime) -> ProofState:
        """The state as shown: an open proof whose time has passed is expired."""
        return ProofState.EXPIRED if self.state is ProofState.OPEN and self.expires_at <= now else self.state
