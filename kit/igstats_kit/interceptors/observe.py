"""What happened: one log line and the metrics of every RPC."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from igstats_kit.access import is_open
from igstats_kit.errors import DomainError
from igstats_kit.interceptors.chain import Call, Context, Interceptor
from igstats_kit.interceptors.deadline import DeadlineInterceptor
from igstats_kit.interceptors.identity import call_id
from igstats_kit.log import bind, get_logger
from igstats_kit.telemetry import RPC_SECONDS, RPCS, RPCS_RUNNING

_log = get_logger()
_FAULTS = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS"})


def _outcome(error: BaseException, context: Context) -> tuple[str, str]:
    """Code and reason of a call that did not end well."""
    if isinstance(error, DomainError):
        return error.public.code, error.reason
    if isinstance(error, grpc.aio.AbortError):
        return grpc.StatusCode(context.code()).name, ""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return ("DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"), ""
    return "INTERNAL", ""


class ObserveInterceptor(Interceptor):
    """Logs, counts and times. Probes are logged at debug."""

    after = (DeadlineInterceptor,)

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Watches the call to its end, whatever the end is."""
        call.observed = True
        bind(call_id=call_id())
        began = time.perf_counter()
        code, reason = "OK", ""
        with RPCS_RUNNING.labels(method=call.method).track_inprogress():
            try:
                yield
            except BaseException as error:
                code, reason = _outcome(error, call.context)
                raise
            finally:
                self._tell(call, code, reason, time.perf_counter() - began)

    def _tell(self, call: Call, code: str, reason: str, seconds: float) -> None:
        RPCS.labels(method=call.method, caller=call.caller, code=code).inc()
        RPC_SECONDS.labels(method=call.method).observe(seconds)
        tell = _log.debug if is_open(call.method) else _log.error if code in _FAULTS else _log.info
        found = {"reason": reason} if reason else {}
        tell("rpc", method=call.method, caller=call.caller, code=code, milliseconds=round(seconds * 1000, 2), **found)
