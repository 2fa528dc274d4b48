"""The upstream that is ourselves: bytes in, bytes out like any other, but without a wire between."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from google.protobuf.message import DecodeError
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.validate import ValidateInterceptor

from igstats_gateway.model import Caller
from igstats_gateway.relay import Order, Reply
from igstats_gateway.routes import OURSELVES, Route

Methods = Mapping[str, Callable[[Any, Caller], Any]]


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
        request = self._routes[order.method].request()
        try:
            request.ParseFromString(order.body)
        except DecodeError as error:
            raise DomainError(Reason.BODY_INVALID) from error
        self._rules.check(request)
        try:
            async with asyncio.timeout(order.seconds):
                response = await self._methods[order.method](request, order.call.admitted)
        except TimeoutError as error:
            raise DomainError(Reason.DEADLINE_TOO_SHORT) from error
        return Reply(response.SerializeToString())

    async def stream(self, order: Order) -> AsyncGenerator[bytes, None]:
        """Answers once, as a stream of one."""
        reply = await self.unary(order)
        yield reply.body
