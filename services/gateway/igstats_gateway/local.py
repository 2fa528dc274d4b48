"""The upstream that is ourselves: bytes in, bytes out like any other, but without a wire between."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from google.protobuf.message import DecodeError, Message
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.validate import ValidateInterceptor

from igstats_gateway.model import Call
from igstats_gateway.relay import Order, Reply
from igstats_gateway.routes import OURSELVES, Route

Methods = Mapping[str, Callable[[Any, Call], Any]]
"""Methods by full name: of a request and its call, awaited for the answer or, where answers stream, iterated over."""


class Local:
    """Serves the routes that the gateway answers itself."""

    def __init__(self, routes: Mapping[str, Route], methods: Methods) -> None:
        self._routes = {name: route for name, route in routes.items() if route.upstream == OURSELVES}
        if set(self._routes) != set(methods):
            raise ValueError(f"routes and methods differ: {sorted(set(self._routes) ^ set(methods))}")
        self._methods = methods
        self._rules = ValidateInterceptor()

    async def unary(self, order: Order) -> Reply:
        """Answers once.

        Raises:
            DomainError: What the method raises; FIELD_INVALID; DEADLINE_TOO_SHORT when the time was over.
        """
        request = self._request(order)
        async with _limited(order.seconds):
            response = await self._methods[order.method](request, order.call)
        return Reply(response.SerializeToString())

    async def stream(self, order: Order) -> AsyncGenerator[bytes, None]:
        """Answers many times.

        Raises:
            DomainError: As `unary`.
        """
        end = asyncio.get_running_loop().time() + order.seconds
        async with aclosing(self._methods[order.method](self._request(order), order.call)) as responses:
            while True:
                async with _limited(end - asyncio.get_running_loop().time()):
                    response = await anext(responses, None)
                if response is None:
                    return
                yield response.SerializeToString()

    def _request(self, order: Order) -> Message:
        request = self._routes[order.method].request()
        try:
            request.ParseFromString(order.body)
        except DecodeError as error:
            raise DomainError(Reason.BODY_INVALID) from error
        self._rules.check(request)
        return request


@asynccontextmanager
async def _limited(seconds: float) -> AsyncGenerator[None, None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DomainError(Reason.DEADLINE_TOO_SHORT) from error
