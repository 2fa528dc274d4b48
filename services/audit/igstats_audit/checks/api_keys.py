"""API keys: those that nobody uses, and those that may do more than their calls need."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from igstats_kit.clock import Clock

from igstats_audit.checks.report import Finding, Look, Looked, Severity, evidence

UNUSED = timedelta(days=90)
SETTLED = timedelta(days=30)
ENDLESS = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What the gateway tells of a key."""

    key_id: str
    scopes: frozenset[str]
    used_scopes: frozenset[str]
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked: bool = False

    def lives(self, now: datetime) -> bool:
        """Whether calls with it are still let in."""
        return not self.revoked and (self.expires_at is None or self.expires_at > now)


ReadKeys = Callable[[], Awaitable[Sequence[ApiKey]]]
Rule = Callable[[Sequence[ApiKey], datetime], Iterator[Finding]]


def unused(keys: Sequence[ApiKey], now: datetime) -> Iterator[Finding]:
    """Living keys without a call for a long time, and old ones that never end."""
    for key in keys:
        seen = key.last_used_at or key.created_at
        if now - seen > UNUSED:
            text = f"no call for {UNUSED.days} days: ask the account, and revoke the key if nobody needs it"
            last = evidence(last_used=key.last_used_at or "never", created=key.created_at)
            yield Finding(Severity.MEDIUM, key.key_id, text, last)
        elif key.expires_at is None and now - key.created_at > ENDLESS:
            text = "older than a year and never expires: ask the account to make a new key and revoke this one"
            yield Finding(Severity.LOW, key.key_id, text, evidence(created=key.created_at, expires="never"))


def over_scoped(keys: Sequence[ApiKey], now: datetime) -> Iterator[Finding]:
    """Living keys in use whose calls have never needed some of their scopes."""
    for key in keys:
        idle = key.scopes - key.used_scopes
        if idle and key.last_used_at is not None and now - key.created_at > SETTLED:
            text = "scopes that none of its calls has needed: give the account a key without them"
            seen = evidence(unneeded=",".join(sorted(idle)), needed=",".join(sorted(key.used_scopes)) or "none")
            yield Finding(Severity.LOW, key.key_id, text, seen)


def looks(read: ReadKeys, clock: Clock) -> dict[str, Look]:
    """The checks of this family by name."""

    def look(rule: Rule) -> Look:
        async def of() -> Looked:
            now = clock.now()
            living = [key for key in await read() if key.lives(now)]
            return Looked(f"{len(living)} living API keys of the gateway", list(rule(living, now)))

        return of

    return {"api_keys.unused": look(unused), "api_keys.scopes": look(over_scoped)}
