"""Who calls: agents by their bearer tokens, which they get for a signed message (sections 2.05, 2.06)."""

import hashlib
import hmac
import secrets

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason

from igstats_gateway.doors.drp import message
from igstats_gateway.doors.partners import Agent, DataRights, by_id
from igstats_gateway.doors.store import PartnerStore

_TOKEN_BYTES = 32
_SEPARATOR = "."


class Agents:
    """Agents of the directory. A token begins with the agent's id, so that one row tells whether it is right."""

    def __init__(self, settings: DataRights | None, store: PartnerStore, clock: Clock) -> None:
        self._agents = settings.agents if settings else ()
        self.business_id = settings.business_id if settings else ""
        self._store = store
        self._clock = clock

    async def enrol(self, agent_id: str, body: bytes) -> str:
        """A new token for an agent that signs for it; the one before ends.

        Raises:
            DomainError: AGENT_UNKNOWN, BODY_INVALID, SIGNED_REQUEST_INVALID, FIELD_INVALID.
        """
        agent = by_id(self._agents, agent_id)
        if agent is None:
            raise DomainError(Reason.AGENT_UNKNOWN)
        claims = message.read(message.opened(body, agent.verify_key))
        message.require_valid(claims, agent_id, self.business_id, self._clock.now())
        token = f"{agent_id}{_SEPARATOR}{secrets.token_urlsafe(_TOKEN_BYTES)}"
        await self._store.put_token(agent_id, _digest(token), self._clock.now())
        return token

    async def caller(self, authorization: str) -> Agent:
        """The agent whose token this header shows.

        Raises:
            DomainError: AGENT_UNKNOWN.
        """
        scheme, _, token = authorization.partition(" ")
        agent = by_id(self._agents, token.strip().rpartition(_SEPARATOR)[0])
        known = await self._store.token(agent.id) if agent else None
        if agent is None or known is None or scheme.lower() != "bearer":
            raise DomainError(Reason.AGENT_UNKNOWN)
        if not hmac.compare_digest(_digest(token.strip()), known):
            raise DomainError(Reason.AGENT_UNKNOWN)
        return agent


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
