"""The chain that every call from outside goes through, by gRPC and by HTTP alike.

authenticate, scope, signature, limit; then the call is served; then it is metered, however it ended.

Who shows no key that was accepted here before spends an allowance of the address, before the key is looked up: guessing
keys costs us no query beyond it, and no entry of the access log. A customer behind the same address goes on.
"""

from collections.abc import Callable

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors import gpc
from ulid import ULID

from igstats_gateway.authentication import Authentication
from igstats_gateway.limits import AddressLimits, Limits, require_granted
from igstats_gateway.metering import Metering
from igstats_gateway.model import Call, Client, Rule
from igstats_gateway.telemetry import PUBLIC_CALLS, PUBLIC_SECONDS

OptedOut = Callable[[str], None]
"""Hears of an account whose call carried the Global Privacy Control signal."""


class Door:
    """Opens, admits and closes calls."""

    def __init__(
        self,
        authentication: Authentication,
        limits: Limits,
        strangers: AddressLimits,
        metering: Metering,
        clock: Clock,
        opted_out: OptedOut,
    ) -> None:
        self._authentication = authentication
        self._limits = limits
        self._strangers = strangers
        self._metering = metering
        self._clock = clock
        self._opted_out = opted_out

    def open(self, protocol: str, client: Client) -> Call:
        """A new call with its own id."""
        return Call(f"req_{ULID()}".lower(), protocol, client, self._clock.now(), gpc=gpc.heard())

    async def admit(self, call: Call, rule: Rule, authorization: str) -> None:
        """Lets the call in, and writes into it what was learned on the way.

        Raises:
            DomainError: The caller is unknown, lacks the scope or signature, or has used up the allowance.
        """
        if not self._authentication.knows(authorization):
            self._require_room(call)
        call.caller = await self._authentication.caller(authorization)
        if call.gpc:
            self._opted_out(call.caller.account_id)
        if rule.scope not in call.caller.scopes:
            raise DomainError(Reason.SCOPE_MISSING, scope=rule.scope)
        call.scope = rule.scope
        if rule.signature_required:
            raise DomainError(Reason.SIGNATURE_REQUIRED)
        call.spending = await self._limits.spend(call.caller.account_id, rule.cost)
        require_granted(call.spending)

    def _require_room(self, call: Call) -> None:
        call.strange = self._strangers.spend(call.client.ip_address)
        if not call.strange.granted:
            call.spending = call.strange
        require_granted(call.strange)

    def close(self, call: Call) -> None:
        """Counts and meters the call."""
        if call.caller is None and call.strange is None:
            call.strange = self._strangers.spend(call.client.ip_address)
        PUBLIC_CALLS.labels(method=call.method or "unknown", protocol=call.protocol, reason=call.reason).inc()
        PUBLIC_SECONDS.observe((self._clock.now() - call.called_time).total_seconds())
        self._metering.note(call)
