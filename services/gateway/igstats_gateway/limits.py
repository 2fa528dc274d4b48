"""Rate limits: one GCRA clock per account and policy, moved by one SQL statement, right for any number of replicas.

Who needs no key is told apart by address, in the memory of each replica: what is served so costs little.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any

import http_sf
from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason

from igstats_gateway.model import Policy, Spending

MINUTE = "minute"
_WINDOW_SECONDS = 60
_ADDRESSES = 10_000
_NETWORK_BITS = 64  # what one line of a provider has of IPv6

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


class AddressLimits:
    """Spends allowances of addresses. The one that was seen longest ago is forgotten when there are too many."""

    def __init__(self, policy: Policy, clock: Clock, *, capacity: int = _ADDRESSES) -> None:
        self._policy = policy
        self._clock = clock
        self._capacity = capacity
        self._full_at: dict[str, datetime] = {}

    def spend(self, address: str) -> Spending:
        """Takes one unit of the address's allowance, if it is there."""
        now, who = self._clock.now(), _network(address)
        full_at = max(self._full_at.pop(who, now), now)
        moved = full_at + timedelta(seconds=self._policy.seconds_per_unit)
        granted = moved <= now + timedelta(seconds=self._policy.window)
        self._full_at[who] = moved if granted else full_at
        if len(self._full_at) > self._capacity:
            self._full_at.pop(next(iter(self._full_at)))
        return Spending(self._policy, granted, 1, (self._full_at[who] - now).total_seconds())


def _network(address: str) -> str:
    """Who stands behind an address: an IPv6 network is one, as its owner has all addresses in it."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> _NETWORK_BITS << _NETWORK_BITS))


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
