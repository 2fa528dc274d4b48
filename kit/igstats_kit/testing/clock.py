"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class FakeClock:
    """Tells the time that a test has set."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware time")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The time set last."""
        return self._now

    def advance(self, step: timedelta) -> datetime:
        """Moves the clock forward and returns the new time."""
        if step < timedelta(0):
            raise ValueError("time does not run backwards")
        self._now += step
        return self._now
