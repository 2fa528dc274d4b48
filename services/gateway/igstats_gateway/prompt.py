"""HTTP connections that have to say what they want: who does not send a complete request in time is cut off.

uvicorn waits for a first request for ever, and for the rest of one that has begun, and counts connections: those that
say nothing would shut the port to everybody.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class PromptProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn with a limit on the time that the head of a request may take, and one on its body.

    The time of a head runs from the opening of the connection, or from the end of the answer before. Bytes that come
    one by one prolong nothing.
    """

    head_seconds = 10.0
    body_seconds = 60.0

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        self._awaited: object = None
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Starts the time of the first head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Reads, and stops the time when what was awaited is there."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Starts the time of the next head."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the time."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is self._awaited:
            return
        self._stop()
        self._awaited = self.conn.their_state
        seconds = {h11.IDLE: self.head_seconds, h11.SEND_BODY: self.body_seconds, h11.ERROR: self.head_seconds}
        if self._awaited in seconds:
            self._limit = self.loop.call_later(seconds[self._awaited], self._cut)

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _cut(self) -> None:
        """Ends the connection at once: whoever says nothing does not take part in an orderly end of TLS either."""
        self.transport.abort()
