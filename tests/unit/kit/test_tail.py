"""Following a stream: in order, without a gap that the stream could still fill, whatever order messages come in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Subscription
from igstats_kit.tail import Placed, Tail

WANTED = Subscription("ACCESS", "audit-access", "igstats.gateway.v1.access.recorded")
MADE_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Sink:
    """Takes what fits, and fails on command."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.at = 0
        self.bad: dict[int, Exception] = {}
        self.made_at: datetime | None = None

    async def position(self) -> int:
        return self.at

    async def handle(self, events: Sequence[Placed]) -> None:
        for one in events:
            if one.position in self.bad:
                raise self.bad[one.position]
        self.taken += [one.position for one in events]
        self.at = events[-1].position

    async def skip(self, position: int) -> None:
        self.at = position

    async def follows(self, made_at: datetime) -> bool:
        self.made_at = self.made_at or made_at
        return self.made_at == made_at

    async def restart(self, made_at: datetime) -> None:
        self.at, self.made_at = 0, made_at


class Message:
    """A message that remembers what became of it."""

    def __init__(self, position: int, attempts: int = 1) -> None:
        self.metadata = SimpleNamespace(sequence=SimpleNamespace(stream=position), num_delivered=attempts)
        self.subject, self.data = "s", b""
        self.headers = {"ce-id": f"evt_{position}", "ce-time": "2026-11-23T12:00:00+00:00"}
        self.end = ""

    async def ack(self) -> None:
        self.end = "ack"

    async def nak(self, delay: float) -> None:
        assert delay
        self.end = "nak"


def tail(sink: Sink, first: int = 1, last: int = 100, made_at: datetime = MADE_AT) -> Tail:
    async def stream_info(_name: str) -> Any:
        return SimpleNamespace(created=made_at, state=SimpleNamespace(first_seq=first, last_seq=last))

    bus: Any = SimpleNamespace(jetstream=SimpleNamespace(stream_info=stream_info))
    database: Any = None
    return Tail(bus, database, WANTED, sink)


async def take(sink: Sink, *messages: Message, first: int = 1) -> list[str]:
    given: Any = messages
    await tail(sink, first)._take(given)
    return [message.end for message in messages]


@pytest.mark.parametrize(
    ("length", "made_later", "position"),
    [(100, timedelta(0), 5), (4, timedelta(0), 0), (4, timedelta(days=1), 0), (100, timedelta(days=1), 0)],
)
async def test_a_stream_that_was_made_anew_is_read_from_its_start_however_long_it_is(
    length: int, made_later: timedelta, position: int
) -> None:
    sink = Sink()
    await tail(sink)._begin()
    sink.at = 5
    await tail(sink, last=length, made_at=MADE_AT + made_later)._begin()
    assert sink.at == position


async def test_messages_are_taken_in_order_whatever_order_they_come_in() -> None:
    sink = Sink()
    assert await take(sink, Message(2), Message(1), Message(3)) == ["ack"] * 3
    assert sink.taken == [1, 2, 3]


async def test_what_was_taken_before_is_only_acknowledged() -> None:
    sink = Sink()
    sink.at = 2
    assert await take(sink, Message(1), Message(2), Message(3)) == ["ack"] * 3
    assert sink.taken == [3]


async def test_what_comes_before_its_time_goes_back() -> None:
    sink = Sink()
    assert await take(sink, Message(1), Message(3), Message(4)) == ["ack", "nak", "nak"]
    assert await take(sink, Message(3)) == ["nak"]
    assert await take(sink, Message(2), Message(3), Message(4)) == ["ack"] * 3
    assert sink.taken == [1, 2, 3, 4]


async def test_a_gap_that_the_stream_cannot_fill_any_more_is_passed() -> None:
    sink = Sink()
    assert await take(sink, Message(8), Message(9), first=8) == ["ack"] * 2
    assert sink.taken == [8, 9]


@pytest.mark.parametrize("error", [ValueError("bad"), DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="log")])
async def test_behind_an_event_that_fails_all_others_wait(error: Exception) -> None:
    sink = Sink()
    sink.bad[2] = error
    ends = await take(sink, Message(1), Message(2), Message(3))
    assert ends[1:] == ["nak", "nak"]
    assert 3 not in sink.taken


async def test_an_event_that_keeps_failing_is_parked_and_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    parked: list[tuple[str, bool]] = []

    async def park(
        _database: object, _consumer: str, event: Any, _error: Exception, *, repeatable: bool = True
    ) -> None:
        parked.append((event.id, repeatable))

    monkeypatch.setattr("igstats_kit.tail.park", park)
    sink = Sink()
    sink.bad[2] = ValueError("bad")
    assert await take(sink, Message(1), Message(2, attempts=8), Message(3)) == ["ack", "ack", "nak"]
    assert (parked, sink.at) == ([("evt_2", False)], 2)
