"""Rate limits: one GCRA clock per account and policy, moved by one SQL statement, right for any number of replicas."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import http_sf
from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason

from igstats_gateway.model import Policy, Spending

MINUTE = "minute"
_WINDOW_SECONDS = 60

Spend = Callable[[str, Policy, int, datetime], Awaitable[Spending | None]]
"""Moves an account's clock if the cost fits; None when there is no such account."""


def minute(quota: int) -> Policy:
    """The policy of `quota` units a minute."""
    return Policy(MINUTE, quota, _WINDOW_SECONDS)


class Limits:
    """Spends accounts' allowances."""

    def __init__(self, spend: Spend, policy: Policy, clock: Clock) -> None:
        self._spend = spend
        self._policy = policy
        self._clock = clock

    async def spend(self, account_id: str, cost: int) -> Spending:
        """Takes `cost` units of the account's allowance, if they are there.

        Raises:
            DomainError: API_KEY_UNKNOWN: the account went while its key was still cached.
        """
        spending = await self._spend(account_id, self._policy, cost, self._clock.now())
        if spending is None:
            raise DomainError(Reason.API_KEY_UNKNOWN)
        return spending


def require_granted(spending: Spending) -> None:
    """Lets a granted call go on.

    Raises:
        DomainError: RATE_LIMITED, with the time after which the call fits.
    """
    if not spending.granted:
        raise DomainError(Reason.RATE_LIMITED, retry_after=spending.wait, policy=spending.policy.name)


def fields(spending: Spending) -> dict[str, str]:
    """The RateLimit-Policy and RateLimit fields of an answer (IETF httpapi draft), for HTTP and gRPC alike."""
    policy = spending.policy
    given: list[Any] = [(policy.name, {"q": policy.quota, "w": policy.window})]
    left: list[Any] = [(policy.name, {"r": spending.remaining, "t": spending.wait})]
    return {"ratelimit-policy": http_sf.ser(given), "ratelimit": http_sf.ser(left)}
