from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit.checks.certificates import Certificate, Seen, age, expiry, identity, looks
from igstats_audit.checks.report import NotPossibleError, Outcome, Severity, concluded
from igstats_kit.testing.clock import FakeClock

CLOCK = FakeClock()
NOW = CLOCK.now()
DAY = timedelta(days=1)
GOOD = Certificate("stats served", "stats", NOW - 5 * DAY, NOW + 60 * DAY, ("spiffe://igstats/stats",))
HOUR = timedelta(hours=1)
AUTHORITY = Certificate("authority", "", NOW - 5 * DAY, NOW + 1000 * DAY)
PUBLIC = replace(GOOD, place="gateway:443 served", identities=("api.example.com",), public_name="api.example.com")


def lasting(lifetime: timedelta, *, left: timedelta, of: Certificate = GOOD) -> Certificate:
    return replace(of, not_before=NOW + left - lifetime, not_after=NOW + left)


@pytest.mark.parametrize("rule", [expiry, age, identity])
def test_good_certificates_pass(rule: Callable[..., object]) -> None:
    assert list(rule([GOOD, AUTHORITY, PUBLIC], NOW)) == []  # type: ignore[call-overload]  # an iterator, whichever the rule


@pytest.mark.parametrize(
    ("certificate", "severity"),
    [
        (lasting(90 * DAY, left=0 * DAY), Severity.HIGH),
        (lasting(90 * DAY, left=2 * DAY), Severity.HIGH),
        (lasting(90 * DAY, left=13 * DAY), Severity.MEDIUM),
        (lasting(DAY, left=5 * HOUR), Severity.MEDIUM),
        (lasting(DAY, left=2 * HOUR), Severity.HIGH),
        (replace(GOOD, not_before=NOW + DAY), Severity.HIGH),
        (lasting(1000 * DAY, left=100 * DAY, of=AUTHORITY), Severity.MEDIUM),
        (lasting(1000 * DAY, left=29 * DAY, of=AUTHORITY), Severity.HIGH),
    ],
)
def test_what_ends_soon_or_does_not_count_yet_is_found(certificate: Certificate, severity: Severity) -> None:
    (finding,) = expiry([certificate], NOW)
    assert (finding.severity, finding.place) == (severity, certificate.place)


@pytest.mark.parametrize(("lifetime", "left"), [(DAY, 20 * HOUR), (DAY, 7 * HOUR), (90 * DAY, 15 * DAY)])
def test_a_certificate_that_is_renewed_in_time_is_not_found_however_short_it_is(
    lifetime: timedelta, left: timedelta
) -> None:
    assert list(expiry([lasting(lifetime, left=left)], NOW)) == []


@given(st.timedeltas(timedelta(minutes=1), timedelta(days=4000)), st.floats(0, 1))
def test_what_must_be_renewed_should_have_been_before_and_never_at_its_beginning(
    lifetime: timedelta, share: float
) -> None:
    certificate = lasting(lifetime, left=lifetime * share)
    soon, very_soon = certificate.warnings
    assert timedelta(0) < very_soon <= soon < lifetime


def test_what_is_left_of_a_short_one_is_told_in_hours() -> None:
    found = [next(expiry([lasting(90 * DAY, left=left)], NOW)).detail for left in (10 * DAY, 30 * HOUR)]
    assert found == ["expires in 10 days: issue a new one", "expires in 30 hours: issue a new one"]


def test_a_certificate_in_use_for_too_long_is_found() -> None:
    old = replace(GOOD, not_before=NOW - 91 * DAY)
    (finding,) = age([old, AUTHORITY], NOW)
    assert (finding.severity, finding.place) == (Severity.MEDIUM, "stats served")
    assert "age_days=91" in finding.evidence


def test_a_certificate_that_names_somebody_else_is_found() -> None:
    wrong = replace(GOOD, identities=("spiffe://igstats/privacy",))
    (finding,) = identity([wrong], NOW)
    assert finding.severity is Severity.HIGH
    assert finding.evidence == ("identities=spiffe://igstats/privacy",)


def test_a_certificate_of_a_strange_authority_is_found() -> None:
    (finding,) = identity([replace(GOOD, trusted=False)], NOW)
    assert finding.severity is Severity.HIGH


async def look(seen: Seen) -> Outcome:
    async def read() -> Seen:
        return seen

    return concluded("x", await looks(read, CLOCK)["certificates.expiry"]()).outcome


async def test_a_service_that_cannot_be_reached_keeps_the_check_from_passing() -> None:
    assert await look(Seen([GOOD])) is Outcome.PASSED
    assert await look(Seen([GOOD], ["gateway"])) is Outcome.NOT_POSSIBLE
    assert await look(Seen([replace(GOOD, not_after=NOW)], ["gateway"])) is Outcome.FOUND


async def test_without_any_certificate_there_is_nothing_to_look_at() -> None:
    with pytest.raises(NotPossibleError, match="gateway"):
        await look(Seen([], ["gateway"]))


def test_a_public_certificate_may_be_as_old_as_public_authorities_issue_them_for() -> None:
    for days, found in ((200, 0), (201, 1)):
        assert len(list(age([replace(PUBLIC, not_before=NOW - days * DAY)], NOW))) == found


def test_what_clients_of_customers_refuse_is_found_with_their_words() -> None:
    (finding,) = identity([replace(PUBLIC, refusal="unable to get local issuer certificate")], NOW)
    assert (finding.severity, finding.place) == (Severity.HIGH, "gateway:443 served")
    assert finding.evidence == ("names=api.example.com", "refusal=unable to get local issuer certificate")
