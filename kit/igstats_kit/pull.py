"""A standing pull request on a durable JetStream consumer.

nats-py's `fetch` asks the server anew for every batch, twice when nothing waits, and then waits for the batch to fill.
Here one request stays open and what arrives waits in a queue: a single message is handled at once, a crowd in batches.
"""

import asyncio
import json
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

_EXPIRES_SECONDS = 30
_HEARTBEAT_SECONDS = 5
_SILENCE_SECONDS = 12.0
_HEARTBEAT, _NOT_FOUND, _EXPIRED = "100", "404", "408"
_NANOSECONDS = 1_000_000_000


class PullError(NatsError):
    """The server ended the pull for a reason other than time: the consumer is gone or JetStream is not there."""


class Pull:
    """Messages of one durable consumer; `open` it, take batches, `close` it."""

    def __init__(self, client: Client, stream: str, durable: str, most: int) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._most = most
        self._inbox = client.new_inbox()
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._owed = 0

    async def open(self) -> None:
        """Subscribes to what the server will deliver."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._queue.put)

    async def close(self) -> None:
        """Ends the subscription; what was delivered and not acknowledged comes again to the next pull."""
        await self._subscription.unsubscribe()

    async def ask(self) -> None:
        """Opens a request for a full batch; also after a reconnect, when the server has forgotten the old one."""
        self._owed = self._most
        wanted = {"batch": self._most, "expires": _EXPIRES_SECONDS * _NANOSECONDS}
        wanted["idle_heartbeat"] = _HEARTBEAT_SECONDS * _NANOSECONDS
        await self._client.publish(self._next, json.dumps(wanted).encode(), reply=self._inbox)

    async def batch(self, linger: float, enough: int) -> list[Msg]:
        """Waits for a message, lets others join for `linger` seconds or until they are `enough`; returns all that came.

        Raises:
            TimeoutError: The server has been silent for longer than it promised.
            PullError: It ended the pull.
        """
        messages: list[Msg] = []
        while not messages:
            if self._owed <= 0:
                await self.ask()
            async with asyncio.timeout(_SILENCE_SECONDS):
                self._sort(await self._queue.get(), messages)
        if linger:
            with suppress(TimeoutError):
                async with asyncio.timeout(linger):
                    while len(messages) < enough:
                        self._sort(await self._queue.get(), messages)
        while len(messages) < self._most and not self._queue.empty():
            self._sort(self._queue.get_nowait(), messages)
        return messages

    def _sort(self, message: Msg, into: list[Msg]) -> None:
        status = "" if message.data else (message.headers or {}).get("Status", "")
        if not status:
            self._owed -= 1
            into.append(message)
        elif status in {_NOT_FOUND, _EXPIRED}:
            self._owed = 0
        elif status != _HEARTBEAT:
            raise PullError((message.headers or {}).get("Description", status))
