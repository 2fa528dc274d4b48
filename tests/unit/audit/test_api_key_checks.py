from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from igstats_audit.checks.api_keys import ApiKey, looks, over_scoped, unused
from igstats_audit.checks.report import Severity
from igstats_kit.testing.clock import FakeClock

CLOCK = FakeClock()
NOW = CLOCK.now()
DAY = timedelta(days=1)
READ, ALL = frozenset({"stats:read"}), frozenset({"stats:read", "privacy:write"})
GOOD = ApiKey("k1", READ, READ, NOW - 60 * DAY, NOW - DAY)


def test_a_key_in_use_with_what_it_needs_passes() -> None:
    assert [*unused([GOOD], NOW), *over_scoped([GOOD], NOW)] == []


@pytest.mark.parametrize(
    ("key", "severity"),
    [
        (replace(GOOD, last_used_at=NOW - 91 * DAY), Severity.MEDIUM),
        (replace(GOOD, created_at=NOW - 91 * DAY, last_used_at=None), Severity.MEDIUM),
        (replace(GOOD, created_at=NOW - 366 * DAY), Severity.LOW),
    ],
)
def test_a_key_without_calls_or_without_end_is_found(key: ApiKey, severity: Severity) -> None:
    (finding,) = unused([key], NOW)
    assert (finding.severity, finding.place) == (severity, "k1")


def test_scopes_that_no_call_has_needed_are_found() -> None:
    (finding,) = over_scoped([replace(GOOD, scopes=ALL)], NOW)
    assert finding.evidence == ("unneeded=privacy:write", "needed=stats:read")


def test_a_new_key_has_time_to_use_its_scopes() -> None:
    assert list(over_scoped([replace(GOOD, scopes=ALL, created_at=NOW - 9 * DAY)], NOW)) == []


async def test_dead_keys_are_nobody_s_concern() -> None:
    old = replace(GOOD, last_used_at=NOW - 91 * DAY)

    async def read() -> Sequence[ApiKey]:
        return [replace(old, revoked=True), replace(old, expires_at=NOW)]

    assert (await looks(read, CLOCK)["api_keys.unused"]()).findings == []
