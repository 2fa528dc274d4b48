"""The Global Privacy Control signal of whoever stands at the far end of a call, carried on every hop.

https://www.w3.org/TR/gpc/: honoured only if a value of the field is exactly "1"; with several, any exact "1" counts;
whoever passes a request on must not remove it. It means: do not sell or share; never: delete.
"""

from collections.abc import Iterable
from contextvars import ContextVar

SEC_GPC = "sec-gpc"
HONOURED = "1"

_heard: ContextVar[bool] = ContextVar("igstats_gpc", default=False)


def heard() -> bool:
    """Whether the running call carries the signal."""
    return _heard.get()


def is_signal(fields: Iterable[tuple[str, str | bytes]]) -> bool:
    """Whether fields of a request, by lower-case name, carry the signal."""
    return any(name == SEC_GPC and value in (HONOURED, HONOURED.encode()) for name, value in fields)


def hear(*, signal: bool) -> None:
    """Sets the signal of the running task. For interceptors and for those who receive requests from outside."""
    _heard.set(signal)


def metadata() -> tuple[tuple[str, str], ...]:
    """What the next hop is sent."""
    return ((SEC_GPC, HONOURED),) if heard() else ()
