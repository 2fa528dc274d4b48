"""Certificates: when each ends, how old it is, and whom it names; those that are served, and the authority's own."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from igstats_kit.access import spiffe_id
from igstats_kit.clock import Clock

from igstats_audit.checks.report import Finding, Look, Looked, NotPossibleError, Severity, evidence

SOON, NOW = timedelta(days=14), timedelta(days=3)
AUTHORITY_SOON, AUTHORITY_NOW = timedelta(days=180), timedelta(days=30)
# A certificate for a day is renewed every day: what is left counts as a share of its own lifetime, too.
SOON_SHARE, NOW_SHARE = 4, 10
OLDEST, AUTHORITY_OLDEST = timedelta(days=90), timedelta(days=5 * 365)
# No public authority issues one for longer (CA/Browser Forum, Baseline Requirements 6.3.2, since 2026-03-15).
PUBLIC_OLDEST = timedelta(days=200)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it is in use. `service` is whom it should name, empty for an authority.

    One that customers meet has a `public_name`; `refusal` is then what a client of theirs says against it, if anything.
    """

    place: str
    service: str
    not_before: datetime
    not_after: datetime
    identities: tuple[str, ...] = ()
    trusted: bool = True
    public_name: str = ""
    refusal: str = ""

    @property
    def is_authority(self) -> bool:
        """Whether others are signed with it."""
        return not self.service

    @property
    def most(self) -> timedelta:
        """How long it may be in use."""
        if self.public_name:
            return PUBLIC_OLDEST
        return AUTHORITY_OLDEST if self.is_authority else OLDEST

    @property
    def warnings(self) -> tuple[timedelta, timedelta]:
        """What is left of it when it should have been renewed, and when it must be: the smaller of time and share."""
        soon, now = (AUTHORITY_SOON, AUTHORITY_NOW) if self.is_authority else (SOON, NOW)
        lifetime = self.not_after - self.not_before
        return min(soon, lifetime / SOON_SHARE), min(now, lifetime / NOW_SHARE)


@dataclass(frozen=True, slots=True)
class Seen:
    """The certificates that could be read, and those that could not, with the reason."""

    certificates: Sequence[Certificate]
    blind: Sequence[str] = ()


ReadCertificates = Callable[[], Awaitable[Seen]]
Rule = Callable[[Sequence[Certificate], datetime], Iterator[Finding]]


def expiry(certificates: Sequence[Certificate], now: datetime) -> Iterator[Finding]:
    """Those that have ended, are about to, or do not count yet."""
    for one in certificates:
        soon, very_soon = one.warnings
        seen = evidence(not_before=one.not_before, not_after=one.not_after)
        left = one.not_after - now
        if left <= timedelta(0):
            yield Finding(Severity.HIGH, one.place, "has expired: issue a new one and restart what serves it", seen)
        elif one.not_before > now:
            text = "is not valid yet: compare the clocks of the authority and of this machine"
            yield Finding(Severity.HIGH, one.place, text, seen)
        elif left <= soon:
            severity = Severity.HIGH if left <= very_soon else Severity.MEDIUM
            yield Finding(severity, one.place, f"expires in {_spelled(left)}: issue a new one", seen)


def _spelled(left: timedelta) -> str:
    return f"{left.days} days" if left.days > 1 else f"{left // timedelta(hours=1)} hours"


def age(certificates: Sequence[Certificate], now: datetime) -> Iterator[Finding]:
    """Those that have been in use for too long: no client of ours asks whether one was revoked."""
    for one in certificates:
        if now - one.not_before > one.most:
            text = (
                f"is older than {one.most.days} days: issue a new one with a new key, since only that ends an old one"
            )
            seen = evidence(not_before=one.not_before, age_days=(now - one.not_before).days)
            yield Finding(Severity.LOW if one.is_authority else Severity.MEDIUM, one.place, text, seen)


def identity(certificates: Sequence[Certificate], _now: datetime) -> Iterator[Finding]:
    """Those that name somebody else than who serves them, or that nobody has issued who should."""
    for one in certificates:
        if one.public_name:
            yield from _to_customers(one)
        elif not one.is_authority:
            yield from _to_services(one)


def _to_services(one: Certificate) -> Iterator[Finding]:
    names = ",".join(one.identities) or "none"
    if not one.trusted:
        text = "is not issued by our authority: find out who put it there"
        yield Finding(Severity.HIGH, one.place, text, evidence(identities=names))
    if one.identities != (spiffe_id(one.service),):
        text = f"must name {spiffe_id(one.service)} and nobody else: issue it again"
        yield Finding(Severity.HIGH, one.place, text, evidence(identities=names))


def _to_customers(one: Certificate) -> Iterator[Finding]:
    if one.refusal:
        names = ",".join(one.identities) or "none"
        text = f"clients of customers refuse it: issue one for {one.public_name}, by an authority that they know"
        yield Finding(Severity.HIGH, one.place, text, evidence(names=names, refusal=one.refusal))


def looks(read: ReadCertificates, clock: Clock) -> dict[str, Look]:
    """The checks of this family by name."""

    def look(rule: Rule) -> Look:
        async def of() -> Looked:
            seen = await read()
            if not seen.certificates:
                raise NotPossibleError("; ".join(seen.blind) or "there is no certificate to read")
            scope = ", ".join(one.place for one in seen.certificates)
            return Looked(scope, list(rule(seen.certificates, clock.now())), seen.blind)

        return of

    return {
        "certificates.expiry": look(expiry),
        "certificates.age": look(age),
        "certificates.identity": look(identity),
    }
