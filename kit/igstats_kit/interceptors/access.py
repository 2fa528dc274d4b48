"""Who may call: by the table, and nobody else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from igstats_kit.access import AccessTable, is_open
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.chain import Call, Interceptor
from igstats_kit.interceptors.identity import IdentityInterceptor

Audit = Callable[[str, str], Awaitable[None]]
"""Writes the audit record of a call, given method and caller. When it fails, the call does not happen."""


class AccessInterceptor(Interceptor):
    """Lets a call pass when the method's row lists the caller, and has audited calls recorded first."""

    after = (IdentityInterceptor,)

    def __init__(self, table: AccessTable, audit: Audit | None = None) -> None:
        audited = sorted(method for method, row in table.items() if row.audited)
        if audited and audit is None:
            raise ValueError(f"nobody writes the audit records of {', '.join(audited)}")
        self._table, self._audit = table, audit

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Refuses callers without a row."""
        if not is_open(call.method):
            row = self._table.get(call.method)
            if row is None:
                raise DomainError(Reason.METHOD_UNKNOWN, method=call.method)
            if call.caller not in row.callers:
                raise DomainError(Reason.CALLER_NOT_ALLOWED, caller=call.caller)
            if row.audited and self._audit is not None:
                await self._audit(call.method, call.caller)
        yield
