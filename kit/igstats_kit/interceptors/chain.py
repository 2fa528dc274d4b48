"""How interceptors go around an RPC: one order for all four kinds, checked when the server is built.

An interceptor is an async context manager around a `Call`, so it need not know whether requests or answers stream.
The chain composes them once per method, and it is the only place that turns a `DomainError` into an answer.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast

import grpc

from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.status import abort
from igstats_kit.telemetry import RPCS

_log = get_logger()

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass
class Call:
    """One RPC on its way to the servicer. `request` is a message, or an async iterator when requests stream."""

    method: str
    context: Context
    request: Any
    request_streaming: bool
    response_streaming: bool
    caller: str = ""
    observed: bool = False


class Interceptor(ABC):
    """Does one thing before and after every RPC. `after` lists those that must have run before it."""

    after: ClassVar[tuple[type["Interceptor"], ...]] = ()

    @abstractmethod
    def around(self, call: Call) -> AbstractAsyncContextManager[None]:
        """A context that the rest of the chain runs in. To refuse a call, raise a DomainError."""


def require_order(interceptors: Sequence[Interceptor]) -> None:
    """Checks that every interceptor comes after those it builds on.

    Raises:
        ValueError: One is missing or comes too late.
    """
    seen: set[type[Interceptor]] = set()
    for interceptor in interceptors:
        missing = [needed.__name__ for needed in interceptor.after if needed not in seen]
        if missing:
            raise ValueError(f"{type(interceptor).__name__} must come after {', '.join(missing)}")
        seen.add(type(interceptor))


class Chain:
    """The interceptors of a server, in order, the outermost first."""

    def __init__(self, interceptors: Sequence[Interceptor]) -> None:
        require_order(interceptors)
        self._interceptors = tuple(interceptors)

    def wrap(self, method: str, handler: Handler) -> Handler:
        """The same handler with the chain around it."""
        streams = handler.request_streaming, handler.response_streaming
        kind = "_".join("stream" if streaming else "unary" for streaming in streams)
        behaviour = getattr(handler, kind)

        def begin(request: object, context: Context) -> Call:
            return Call(method, context, request, *streams)

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        serve = self._many(behaviour, begin) if handler.response_streaming else self._one(behaviour, begin)
        return cast("Handler", make(serve, handler.request_deserializer, handler.response_serializer))

    def _one(self, behaviour: Callable[..., Awaitable[Any]], begin: Callable[..., Call]) -> Callable[..., Any]:
        async def serve(request: object, context: Context) -> Any:  # noqa: ANN401 - the method's own response type
            call = begin(request, context)
            async with self._around(call):
                return await behaviour(call.request, context)

        return serve

    def _many(self, behaviour: Callable[..., Any], begin: Callable[..., Call]) -> Callable[..., Any]:
        writes = not inspect.isasyncgenfunction(behaviour)  # a servicer may also call context.write()

        async def serve(request: object, context: Context) -> AsyncIterator[Any]:
            call = begin(request, context)
            async with self._around(call):
                if writes:
                    await behaviour(call.request, context)
                    return
                async with aclosing(behaviour(call.request, context)) as responses:
                    async for response in responses:
                        yield response

        return serve

    @asynccontextmanager
    async def _around(self, call: Call) -> AsyncIterator[None]:
        try:
            async with AsyncExitStack() as stack:
                for interceptor in self._interceptors:
                    await stack.enter_async_context(interceptor.around(call))
                yield
        except grpc.aio.AbortError:
            raise
        except DomainError as error:
            await _refuse(call, error)
        except Exception:  # noqa: BLE001 - a fault of an interceptor; its text must not reach the caller
            _log.exception("interceptor failed", method=call.method)
            await abort(call.context, DomainError(Reason.INTERNAL))


async def _refuse(call: Call, error: DomainError) -> None:
    """Answers with the error. What was refused before it could be observed is counted and logged here."""
    if not call.observed:
        method = "unknown" if error.reason is Reason.METHOD_UNKNOWN else call.method
        RPCS.labels(method=method, caller=call.caller, code=error.public.code).inc()
        _log.warning("rpc refused", method=call.method, caller=call.caller, reason=error.reason)
    await abort(call.context, error)
