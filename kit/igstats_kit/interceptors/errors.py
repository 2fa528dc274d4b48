"""What a servicer may raise: a DomainError passes, everything else becomes INTERNAL with a fixed text."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.chain import Call, Interceptor
from igstats_kit.interceptors.validate import ValidateInterceptor
from igstats_kit.log import get_logger

_log = get_logger()


class ErrorsInterceptor(Interceptor):
    """Keeps what went wrong inside inside. The log line with the same call id has the type and the place."""

    after = (ValidateInterceptor,)

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Lets only typed errors out."""
        try:
            yield
        except (DomainError, grpc.aio.AbortError):
            raise
        except Exception as error:
            _log.exception("unexpected error", method=call.method)
            raise DomainError(Reason.INTERNAL) from error
