"""Hears the Global Privacy Control signal of every HTTP request, and says in every answer that it was honoured.

https://www.w3.org/TR/gpc/; 11 CCR 7025(c)(6) wants the honouring shown.
"""

from igstats_kit.interceptors import gpc
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHOWN = "gpc"
HONOURED = "honoured"


class Listening:
    """Goes around the whole HTTP port: what runs inside finds the signal in `gpc.heard`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        signal = gpc.is_signal((name.decode("latin-1"), value) for name, value in scope.get("headers", ()))
        gpc.hear(signal=signal)

        async def shown(message: Message) -> None:
            if signal and message["type"] == "http.response.start":
                MutableHeaders(scope=message)[SHOWN] = HONOURED
            await send(message)

        await self._app(scope, receive, shown)
