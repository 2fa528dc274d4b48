"""Searches the messages of JetStream streams, payload and headers, by a consumer that the server forgets by itself."""

from collections.abc import AsyncIterator

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from igstats_kit.deep_sweep.model import Kind, Needles, Place, Report
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus
from igstats_kit.permissions import Rights, sweeper

_FORGOTTEN_SECONDS = 10.0
_BATCH = 256
_WAIT_SECONDS = 1.0


async def search(bus: Bus, rights: Rights, needles: Needles, report: Report) -> None:
    """Searches the streams that a service owns or reads.

    Raises:
        DomainError: DEPENDENCY_UNAVAILABLE; the run is repeated.
    """
    try:
        for stream, subject in sorted(rights.readable.items()):
            async for sequence, content in _messages(bus, stream, subject):
                report.searched[Kind.STREAM] += 1
                report.add(needles.within(content), Place(Kind.STREAM, f"{stream}/{sequence}"))
    except (NatsError, OSError) as error:
        raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="nats") from error


async def _messages(bus: Bus, stream: str, subject: str) -> AsyncIterator[tuple[int, bytes]]:
    name = sweeper(bus.service)
    wanted = ConsumerConfig(
        name=name,
        filter_subject=subject or None,
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.ALL,
        inactive_threshold=_FORGOTTEN_SECONDS,
        mem_storage=True,
    )
    try:
        info = await bus.jetstream.add_consumer(stream, wanted)
    except NotFoundError:
        return  # nobody has made the stream yet
    if info.delivered is not None and info.delivered.consumer_seq:
        raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="nats")  # an earlier run's, gone in seconds
    reading = await bus.jetstream.pull_subscribe_bind(consumer=name, stream=stream)
    try:
        async for found in _until_end(reading, info.num_pending or 0):
            yield found
    finally:
        await reading.unsubscribe()


async def _until_end(reading: JetStreamContext.PullSubscription, waiting: int) -> AsyncIterator[tuple[int, bytes]]:
    while waiting > 0:
        try:
            messages = await reading.fetch(min(_BATCH, waiting), timeout=_WAIT_SECONDS)
        except NatsTimeout:
            return  # what waited has left the stream by age
        for message in messages:
            headers = "\n".join(f"{key}: {value}" for key, value in (message.headers or {}).items())
            yield message.metadata.sequence.stream, headers.encode() + b"\n" + message.data
        waiting -= len(messages)
