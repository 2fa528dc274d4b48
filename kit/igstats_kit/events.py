"""Facts on NATS JetStream: CloudEvents (binary mode) in, out, de-duplicated, and parked when they cannot be handled.

A publish that failed is "unknown", never "not sent": it is repeated with the same id. JetStream is never the only place
that holds a promise (outbox before it, inbox behind it).
"""

import asyncio
import json
import re
import ssl
import urllib.request
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.declare import Store
from igstats_kit.errors import DomainError, Reason, SpeakingError, passes
from igstats_kit.log import get_logger
from igstats_kit.pull import Pull
from igstats_kit.sql import Database, shielded
from igstats_kit.tables import parked
from igstats_kit.telemetry import EVENTS_HANDLED, EVENTS_PARKED
from igstats_kit.worker import regularly

_PUBLISH_SECONDS = 5.0
_ACK_WAIT_SECONDS = 15.0
_RECONNECT_SECONDS = 0.25
_PARK_AFTER = 8
_RETRY_DELAYS = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
_AGAIN_SECONDS = 5.0
_DUPLICATE_WINDOW_SECONDS = 120.0
_TOO_FEW_SERVERS = (10005, 10074)  # JSClusterNoPeersErr, JSStreamReplicasNotSupportedErr of nats-server's errors.json

_DENIED = re.compile(r"permissions violation(?: for (?P<step>\w+) to \"(?P<subject>[^\"]*))?", re.IGNORECASE)

_log = get_logger()


class NotDurableError(SpeakingError):
    """The server acknowledges what is not on disk."""


class TooFewServersError(SpeakingError):
    """The server, or its cluster, cannot keep a stream on as many servers as it should."""


@dataclass(frozen=True)
class Event:
    """One fact: a CloudEvent whose data is a serialised protobuf message of `type`.

    `sequence` is the producer's number of the first log entry in it; 0 when it holds none.
    """

    id: str
    subject: str
    type: str
    time: datetime
    data: bytes
    attempts: int = 1
    sequence: int = 0


@dataclass(frozen=True)
class Stream:
    """A JetStream stream and what it holds. File storage, limits retention, full means refuse."""

    name: str
    subjects: tuple[str, ...]
    max_age: timedelta
    data: Store

    def config(self, replicas: int = 1) -> StreamConfig:
        """The stream as the server must have it, on so many servers of its cluster."""
        return StreamConfig(
            name=self.name,
            subjects=list(self.subjects),
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            max_age=self.max_age.total_seconds(),
            duplicate_window=_DUPLICATE_WINDOW_SECONDS,
            num_replicas=replicas,
        )


def _headers(event: Event, source: str) -> dict[str, str]:
    """CloudEvents binary mode, NATS protocol binding 1.0.2 section 3.1, and the id that JetStream de-duplicates by."""
    headers = {
        "Nats-Msg-Id": event.id,
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": source,
        "ce-type": event.type,
        "ce-time": event.time.isoformat(),
        "ce-datacontenttype": "application/protobuf",
    }
    return headers | {"ce-sequence": str(event.sequence)} if event.sequence else headers


def read_event(message: Msg) -> Event:
    """The event in a message."""
    headers = message.headers or {}
    return Event(
        id=headers.get("ce-id", ""),
        subject=message.subject,
        type=headers.get("ce-type", ""),
        time=datetime.fromisoformat(headers["ce-time"]) if "ce-time" in headers else message.metadata.timestamp,
        data=message.data,
        attempts=message.metadata.num_delivered,
        sequence=int(headers.get("ce-sequence", 0)),
    )


def _read_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=_PUBLISH_SECONDS) as answer:  # noqa: S310 - an operator's setting
        found: dict[str, Any] = json.load(answer)
    return found


@dataclass
class Bus:
    """A connection to NATS as one service. `denied` is set when the server denies it something.

    `replicas` says on how many servers each stream of the service is kept.
    """

    client: Client
    jetstream: JetStreamContext
    service: str
    replicas: int = 1
    denied: asyncio.Event = field(default_factory=asyncio.Event)
    reconnected: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)

    @classmethod
    async def connect(
        cls, url: str, service: str, tls: ssl.SSLContext, *, hostname: str = "nats", replicas: int = 1
    ) -> "Bus":
        """Connects for ever: the client reconnects without limit and notices a silent server within 10 s."""
        client = Client()
        bus = cls(client, client.jetstream(timeout=_PUBLISH_SECONDS), service, replicas)
        await client.connect(
            url,
            name=service,
            tls=tls,
            tls_hostname=hostname,
            inbox_prefix=f"_INBOX_{service}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type]  # a float works; nats-py types it as int
            ping_interval=5,
            max_outstanding_pings=2,
            error_cb=bus._on_error,
            reconnected_cb=bus._on_reconnect,
        )
        return bus

    async def _on_error(self, error: Exception) -> None:
        # A denied publish shows as a mere timeout to the caller; the reason comes only here.
        if denied := _DENIED.search(str(error)):
            self.denied.set()
            _log.error("nats denied", step=denied["step"], topic=denied["subject"])
        else:
            _log.warning("nats trouble", error=type(error).__name__)

    async def _on_reconnect(self) -> None:
        for ask in tuple(self.reconnected):
            await ask()

    async def prove_durability(self, monitor_url: str) -> None:
        """Asks the server's monitor whether an acknowledged message is on disk.

        Raises:
            NotDurableError: `sync_interval: always` is not set: a power cut would lose acknowledged messages.
        """
        found = await asyncio.to_thread(_read_json, f"{monitor_url}/varz")
        if not found.get("jetstream", {}).get("config", {}).get("sync_always"):
            raise NotDurableError("nats-server must run JetStream with sync_interval: always")

    async def ensure(self, stream: Stream) -> None:
        """Creates the stream or brings its settings to what the code declares.

        Raises:
            TooFewServersError: NATS has not as many servers as the stream is to be kept on.
        """
        wanted = stream.config(self.replicas)
        try:
            await self.jetstream.stream_info(stream.name)
        except NotFoundError:
            await self._accepted(stream, self.jetstream.add_stream(wanted))
        else:
            await self._accepted(stream, self.jetstream.update_stream(wanted))

    async def _accepted(self, stream: Stream, change: Coroutine[Any, Any, object]) -> None:
        try:
            await change
        except APIError as error:
            if error.err_code not in _TOO_FEW_SERVERS:
                raise
            text = f"stream {stream.name} needs {self.replicas} NATS servers: see IGSTATS_NATS_REPLICAS"
            raise TooFewServersError(text) from error

    async def publish(self, event: Event) -> None:
        """Publishes and waits until the server has it on disk.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the event may be stored nevertheless, so repeat it with the same id.
        """
        headers = _headers(event, f"igstats/{self.service}")
        try:
            await self.jetstream.publish(event.subject, event.data, timeout=_PUBLISH_SECONDS, headers=headers)
        except (NatsError, TimeoutError, OSError) as error:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="nats") from error

    async def close(self) -> None:
        """Sends what waits and closes."""
        await self.client.close()


_TAKE = text(
    "INSERT INTO inbox (consumer, event_id) SELECT :consumer, id FROM unnest(CAST(:ids AS text[])) AS id"
    " ON CONFLICT DO NOTHING RETURNING event_id"
)


async def take_inbox(connection: AsyncConnection, consumer: str, events: Sequence[Event]) -> list[Event]:
    """Records the events as handled by the running transaction and returns those not handled before."""
    by_id = {event.id: event for event in events}
    taken = await connection.execute(_TAKE, {"consumer": consumer, "ids": list(by_id)})
    fresh = set(taken.scalars())
    return [event for event in by_id.values() if event.id in fresh]


_ASKED_FOR = text(
    "SELECT event_id, subject, type, coalesce(time, created_at) AS time, data, attempts, sequence FROM parked"
    " WHERE consumer = :consumer AND asked_at IS NOT NULL ORDER BY created_at, event_id LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_FAILED_AGAIN = text(
    "UPDATE parked SET asked_at = NULL, attempts = attempts + 1, error = :error"
    " WHERE consumer = :consumer AND event_id = :event_id"
)
_UNPARK = text("DELETE FROM parked WHERE consumer = :consumer AND event_id = :event_id")

Handler = Callable[[Sequence[Event]], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Subscription:
    """A durable pull consumer: `durable` on `stream`, for messages of `subject`."""

    stream: str
    durable: str
    subject: str

    def config(self) -> ConsumerConfig:
        """The consumer as the server must have it. Unlimited deliveries: the server forgets a message past a limit."""
        return ConsumerConfig(
            name=self.durable,
            durable_name=self.durable,
            filter_subject=self.subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=_ACK_WAIT_SECONDS,
            max_deliver=-1,
            max_ack_pending=1024,
        )


class Consumer:
    """Hands events to `handle` in batches, at least once each.

    `handle` commits its effects and the inbox rows before it returns; only then the events are acknowledged. A batch
    that fails is tried again event by event: one bad event harms no other, and one that keeps failing is parked.
    `linger` seconds let a batch fill, which saves commits; it is handled at once when `enough` messages have come.
    """

    def __init__(
        self,
        bus: Bus,
        database: Database,
        subscription: Subscription,
        handle: Handler,
        *,
        batch: int = 256,
        linger: float = 0.0,
        enough: int = 0,
    ) -> None:
        self._bus = bus
        self._database = database
        self._subscription = subscription
        self._handle = handle
        self._batch = batch
        self._linger = linger
        self._enough = enough or batch

    async def run(self) -> None:
        """Consumes until cancelled; outlives restarts of the server and the wait for a stream not made yet."""
        again = regularly(self._handle_parked, _AGAIN_SECONDS, "parked events wait")
        both = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(again)]
        try:
            await asyncio.gather(*both)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                await self._consume()
            except (NatsError, OSError, TimeoutError) as error:
                _log.warning("consumer waits", consumer=self._subscription.durable, error=type(error).__name__)
                await asyncio.sleep(_RETRY_DELAYS[0])

    async def _consume(self) -> None:
        wanted = self._subscription
        await self._bus.jetstream.add_consumer(wanted.stream, wanted.config())
        pull = Pull(self._bus.client, wanted.stream, wanted.durable, self._batch)
        await pull.open()
        self._bus.reconnected.append(pull.ask)
        try:
            while True:
                await self._dispatch(await pull.batch(self._linger, self._enough))
        finally:
            self._bus.reconnected.remove(pull.ask)
            await pull.close()

    async def _dispatch(self, messages: Sequence[Msg]) -> None:
        try:
            await shielded(self._handle([read_event(message) for message in messages]))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its events must be retried or parked
            if len(messages) > 1:
                for message in messages:
                    await self._dispatch([message])
            else:
                await self._give_back(messages[0], error)
        else:
            EVENTS_HANDLED.labels(consumer=self._subscription.durable).inc(len(messages))
            await asyncio.gather(*(message.ack() for message in messages))

    async def _handle_parked(self) -> None:
        """Hands parked events that somebody has asked for to the handler again; see `parking`."""
        while await self._handle_one_parked():
            pass

    async def _handle_one_parked(self) -> bool:
        # The row stays locked meanwhile, so that no replica takes it, and goes when the effect is committed: should
        # the process die between the two, the event is handled once more, and its inbox row makes that harmless.
        consumer = self._subscription.durable
        async with self._database.transaction() as connection:
            row = (await connection.execute(_ASKED_FOR, {"consumer": consumer})).one_or_none()
            if row is None:
                return False
            event = Event(row.event_id, row.subject, row.type, row.time, bytes(row.data), row.attempts, row.sequence)
            named = {"consumer": consumer, "event_id": event.id}
            try:
                await shielded(self._handle([event]))
            except Exception as error:
                if passes(error):
                    raise
                _log.exception("event failed again", **named)
                await connection.execute(_FAILED_AGAIN, {**named, "error": type(error).__name__})
            else:
                await connection.execute(_UNPARK, named)
                _log.info("parked event handled", **named)
        return True

    async def _give_back(self, message: Msg, error: Exception) -> None:
        event = read_event(message)
        _log.warning("event failed", consumer=self._subscription.durable, event_id=event.id, error=type(error).__name__)
        if event.attempts < _PARK_AFTER or passes(error):
            await message.nak(delay=_RETRY_DELAYS[min(event.attempts, len(_RETRY_DELAYS)) - 1])
            return
        await park(self._database, self._subscription.durable, event, error)
        await message.ack()


async def park(database: Database, consumer: str, event: Event, error: Exception, *, repeatable: bool = True) -> None:
    """Puts an event aside that cannot be handled, where people see it; `repeatable` when it can come out of order."""
    row: dict[str, object] = {"consumer": consumer, "event_id": event.id, "repeatable": repeatable}
    row |= {"subject": event.subject, "type": event.type, "data": event.data}
    row |= {"time": event.time, "sequence": event.sequence}
    row |= {"error": type(error).__name__, "attempts": event.attempts}
    async with database.transaction() as connection:
        await connection.execute(insert(parked).values(row).on_conflict_do_nothing())
    EVENTS_PARKED.labels(consumer=consumer).inc()
    _log.error("event parked", consumer=consumer, event_id=event.id)
