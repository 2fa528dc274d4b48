"""Follows a stream in order and from a position that the sink keeps itself: exactly once without an inbox.

The sink stores the position of the last message in the commit of its effect. Messages are handed over without a gap:
one that comes before its time goes back to the server, one that was handled is only acknowledged. One process follows
at a time, so that messages come in order; should two follow nevertheless, the sink's position keeps both right.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import StreamInfo

from igstats_kit.errors import DomainError, passes
from igstats_kit.events import Bus, Event, Subscription, park, read_event
from igstats_kit.log import get_logger
from igstats_kit.pull import Pull
from igstats_kit.sql import Database, shielded
from igstats_kit.telemetry import EVENTS_HANDLED

_RETRY_SECONDS = 1.0
_UNKNOWN = datetime.fromtimestamp(0, UTC)
_PARK_AFTER = 8

_log = get_logger()


class Placed(NamedTuple):
    """An event and its position in the stream, from 1."""

    position: int
    event: Event


class Sink(Protocol):
    """What a stream flows into."""

    async def position(self) -> int:
        """Position of the last event that is in it."""
        ...

    async def handle(self, events: Sequence[Placed]) -> None:
        """Takes events that follow the position without a gap, and stores the new position in the same commit."""
        ...

    async def skip(self, position: int) -> None:
        """Goes past an event that cannot be handled."""
        ...

    async def follows(self, made_at: datetime) -> bool:
        """Whether the position counts in the stream that was made then. The first one that it hears of is its own."""
        ...

    async def restart(self, made_at: datetime) -> None:
        """Goes back to position 0, in the stream that was made then."""
        ...


class Tail:
    """Follows one stream of one subject by a durable consumer."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        subscription: Subscription,
        sink: Sink,
        *,
        batch: int = 256,
        linger: float = 0.0,
    ) -> None:
        self._bus = bus
        self._database = database
        self._subscription = subscription
        self._sink = sink
        self._batch = batch
        self._linger = linger

    async def run(self) -> None:
        """Follows until cancelled, one process at a time."""
        while True:
            try:
                async with self._database.alone(f"tail {self._subscription.durable}"):
                    await self._follow()
            except (NatsError, OSError, TimeoutError, DomainError) as error:
                _log.warning("consumer waits", consumer=self._subscription.durable, error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        wanted = self._subscription
        await self._bus.jetstream.add_consumer(wanted.stream, wanted.config())
        await self._begin()
        pull = Pull(self._bus.client, wanted.stream, wanted.durable, self._batch)
        await pull.open()
        self._bus.reconnected.append(pull.ask)
        try:
            while True:
                await self._take(await pull.batch(self._linger, self._batch))
        finally:
            self._bus.reconnected.remove(pull.ask)
            await pull.close()

    async def _begin(self) -> None:
        """Starts over in a stream that was made anew: a broker that lost its store counts from 1 again.

        How long it is does not tell: the new one may have grown past the position while nobody followed.
        """
        stream = await self._stream()
        made_at = stream.created or _UNKNOWN
        if not await self._sink.follows(made_at) or stream.state.last_seq < await self._sink.position():
            _log.error("stream was made anew", consumer=self._subscription.durable)
            await self._sink.restart(made_at)

    async def _stream(self) -> StreamInfo:
        return await self._bus.jetstream.stream_info(self._subscription.stream)

    async def _take(self, messages: Sequence[Msg]) -> None:
        position = await self._sink.position()
        coming = {_position(message): message for message in messages}
        await asyncio.gather(*(message.ack() for at, message in coming.items() if at <= position))
        waiting = [coming[at] for at in sorted(coming) if at > position]
        if waiting and _position(waiting[0]) > position + 1:
            position = await self._after_gap(position)
        run = [message for offset, message in enumerate(waiting) if _position(message) == position + 1 + offset]
        await asyncio.gather(*(message.nak(delay=_RETRY_SECONDS) for message in waiting[len(run) :]))
        await self._hand_over(run)

    async def _after_gap(self, position: int) -> int:
        """Where to go on: what the stream no longer has, nobody will bring."""
        first = (await self._stream()).state.first_seq
        if first > position + 1:
            lost = first - 1 - position
            _log.error("events were lost before they came", consumer=self._subscription.durable, count=lost)
        return max(position, first - 1)

    async def _hand_over(self, run: Sequence[Msg]) -> None:
        if not run:
            return
        try:
            await self._handle(run)
        except Exception as error:  # noqa: BLE001 - whatever a sink raises, its events must be retried or parked
            if len(run) == 1 or passes(error):
                await self._give_back(run, error)
            else:
                await self._hand_over_singly(run)

    async def _hand_over_singly(self, run: Sequence[Msg]) -> None:
        """Finds the event that fails; those after it wait until it is handled or parked."""
        for at, message in enumerate(run):
            try:
                await self._handle([message])
            except Exception as error:  # noqa: BLE001 - as above
                await self._give_back(run[at:], error)
                return

    async def _handle(self, run: Sequence[Msg]) -> None:
        await shielded(self._sink.handle([Placed(_position(message), read_event(message)) for message in run]))
        EVENTS_HANDLED.labels(consumer=self._subscription.durable).inc(len(run))
        await asyncio.gather(*(message.ack() for message in run))

    async def _give_back(self, run: Sequence[Msg], error: Exception) -> None:
        first, durable = read_event(run[0]), self._subscription.durable
        _log.warning("event failed", consumer=durable, event_id=first.id, error=type(error).__name__)
        back = run
        if not passes(error) and first.attempts >= _PARK_AFTER:
            await park(self._database, durable, first, error, repeatable=False)
            await self._sink.skip(_position(run[0]))
            await run[0].ack()
            back = run[1:]
        await asyncio.gather(*(message.nak(delay=_RETRY_SECONDS) for message in back))


def _position(message: Msg) -> int:
    return message.metadata.sequence.stream
