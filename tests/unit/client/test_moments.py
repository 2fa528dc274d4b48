from datetime import UTC, datetime

import pytest
from igstats_client.moments import parse

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
BEYOND = ("999999d", "0001-01-01T00:00+02:00", "9999-12-31T23:59-02:00")
"""Before the first year, after the last."""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01 10:00+01:00", datetime(2026, 11, 1, 9, tzinfo=UTC)),
        ("30m", datetime(2026, 11, 23, 12, tzinfo=UTC)),
        ("24h", datetime(2026, 11, 22, 12, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 16, 12, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_day_a_time_or_how_long_ago(text: str, meant: datetime) -> None:
    assert parse(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "7w", "-1d", "2026-13-01", "d", *BEYOND])
def test_what_is_no_time_is_told_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse(text, NOW)
