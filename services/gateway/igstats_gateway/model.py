"""What the gateway knows: accounts, keys, usage, and the call that is being answered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import ceil, floor


@dataclass(frozen=True)
class Rule:
    """What a caller needs for a method; read from the descriptors."""

    scope: str
    cost: int
    signature_required: bool


@dataclass(frozen=True)
class Caller:
    """Who calls, as far as the key says."""

    account_id: str
    key_id: str
    scopes: frozenset[str]
    expire_time: datetime | None = None  # when the key ends


@dataclass(frozen=True)
class Client:
    """Where a call came from."""

    ip_address: str = ""
    user_agent: str = ""


@dataclass(frozen=True)
class Policy:
    """A rate limit: `quota` units in `window` seconds, regained evenly."""

    name: str
    quota: int
    window: int

    @property
    def seconds_per_unit(self) -> float:
        """How long one unit takes to come back."""
        return self.window / self.quota


@dataclass(frozen=True)
class Spending:
    """An account's allowance after a call asked for some of it."""

    policy: Policy
    granted: bool
    cost: int
    full_in: float  # seconds until the whole allowance is back

    @property
    def remaining(self) -> int:
        """Units left now."""
        left = (self.policy.window - self.full_in) / self.policy.seconds_per_unit
        return max(0, floor(left + 1e-6))

    @property
    def wait(self) -> int:
        """Whole seconds: until a refused call fits, or until the allowance is full after a granted one."""
        if self.granted:
            return ceil(self.full_in)
        return max(1, ceil(self.full_in + self.cost * self.policy.seconds_per_unit - self.policy.window))


@dataclass
class Call:
    """One call from outside, from the first byte to its record. The chain fills in what it learns."""

    call_id: str
    protocol: str
    client: Client
    called_time: datetime
    method: str = ""
    caller: Caller | None = None
    spending: Spending | None = None
    strange: Spending | None = None  # the address's allowance of calls without a key that is known here
    scope: str = ""  # that the method asks for and the key has
    status: int = 0  # number of the gRPC status code
    reason: str = ""
    gpc: bool = False  # whether it carried the Global Privacy Control signal

    def fail(self, status: int, reason: str) -> None:
        """Notes that the call did not end well."""
        self.status, self.reason = status, reason

    @property
    def admitted(self) -> Caller:
        """The caller.

        Raises:
            ValueError: The call was not let in.
        """
        if self.caller is None:
            raise ValueError("the call was not let in")
        return self.caller

    @property
    def excessive(self) -> bool:
        """Whether nobody is known to have called, from an address that has used up its allowance of such calls."""
        return self.caller is None and self.strange is not None and not self.strange.granted

    @property
    def account_id(self) -> str:
        """The calling account; empty when the key was refused."""
        return self.caller.account_id if self.caller else ""


@dataclass(frozen=True)
class CallRecord:
    """A call as it ended."""

    call_id: str
    account_id: str
    key_id: str
    method: str
    protocol: str
    status: int  # number of the gRPC status code
    reason: str
    called_time: datetime
    latency_us: int
    sealed_client: bytes
    scope: str = ""


@dataclass(frozen=True)
class KeyFacts:
    """What a security audit may know of a key."""

    key_id: str
    scopes: tuple[str, ...]
    used_scopes: tuple[str, ...]
    created_time: datetime
    last_used_day: date | None
    expire_time: datetime | None
    revoked: bool


@dataclass(frozen=True)
class StoredKey:
    """What the store says about a key."""

    key_id: str
    account_id: str
    key_hash: bytes
    label: str
    scopes: tuple[str, ...]
    created_time: datetime
    expire_time: datetime | None = None
    revoked_time: datetime | None = None
    last_used_day: date | None = None


@dataclass(frozen=True)
class Contact:
    """A contact person of an account. An empty id means a new one."""

    contact_id: str
    email: str
    name: str


@dataclass(frozen=True)
class Billing:
    """Billing details of an account."""

    name: str = ""
    address: str = ""
    vat_number: str = ""


@dataclass(frozen=True)
class Account:
    """A customer; `withheld` contacts are left out, because they have restricted the use of their data."""

    account_id: str
    company: str
    created_time: datetime
    contacts: tuple[Contact, ...] = ()
    billing: Billing | None = None
    withheld: int = 0


@dataclass(frozen=True)
class AccountChange:
    """What an account wants changed; what is empty stays as it is."""

    company: str = ""
    contacts: Sequence[Contact] = ()
    billing: Billing | None = None


@dataclass(frozen=True)
class Usage:
    """Calls of one method on one day."""

    day: date
    method: str
    calls: int
    errors: int


@dataclass(frozen=True)
class LoggedCall:
    """One call of the API log."""

    call_id: str
    key_id: str
    method: str
    protocol: str
    status: int
    reason: str
    called_time: datetime
    latency_us: int
    ip_address: str
    user_agent: str


@dataclass(frozen=True)
class CallPage:
    """A page of the API log."""

    calls: Sequence[LoggedCall] = field(default_factory=tuple)
    next_page_token: str = ""


@dataclass(frozen=True)
class CallFilter:
    """Which calls of the API log; what is empty or None leaves nothing out."""

    call_id: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    status: int | None = None


@dataclass(frozen=True)
class LogFile:
    """A file of a log as C2SP tlog-tiles names it."""

    content: bytes = field(repr=False)
    immutable: bool


@dataclass(frozen=True)
class Slot:
    """Where the answer to an idempotency key is kept. Records from before `valid_since` do not count any more."""

    account_id: str
    method: str
    key_digest: bytes
    valid_since: datetime


@dataclass(frozen=True)
class StoredAnswer:
    """What is in a slot. The body is sealed."""

    request_digest: bytes
    status: int | None  # HTTP status; None while the first call is running
    sealed_body: bytes
