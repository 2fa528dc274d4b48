"""The endpoints of section 2 over HTTP."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from igstats_gateway import problem
from igstats_gateway.doors.dealing import Callback, Dealing
from igstats_gateway.doors.dealings import Dealings
from igstats_gateway.doors.drp import exercise, message
from igstats_gateway.doors.drp.agents import Agents
from igstats_gateway.doors.drp.exercise import DOOR
from igstats_gateway.doors.drp.status import StatusWords
from igstats_gateway.doors.face import Face
from igstats_gateway.doors.partners import Agent
from igstats_gateway.limits import AddressLimits

_AGENT = "/v1/agent/{agent_id}"
_EXERCISE = "/v1/data-rights-request"
_REQUEST = _EXERCISE + "/{request_id}"
_FORBIDDEN = 403
_UUID_BYTES = 16
_FATAL = frozenset({Reason.FIELD_INVALID, Reason.SIGNED_REQUEST_INVALID, Reason.AGENT_UNKNOWN, Reason.BODY_INVALID})
_FORBIDDEN_REASONS = frozenset({Reason.AGENT_UNKNOWN, Reason.SIGNED_REQUEST_INVALID, Reason.REQUEST_NOT_FOUND})


class DataRightsFace:
    """Serves agents."""

    def __init__(
        self, agents: Agents, dealings: Dealings, words: StatusWords, limits: AddressLimits, clock: Clock
    ) -> None:
        self._agents = agents
        self._dealings = dealings
        self._words = words
        self._clock = clock
        self._face = Face(DOOR, limits, refusal)

    def routes(self) -> Sequence[BaseRoute]:
        """The paths; the slash at the end was part of the protocol before 0.9.3."""
        route = self._face.route
        return [
            route("POST", _AGENT, self.enrol),
            route("GET", _AGENT, self.know),
            route("POST", _EXERCISE, self.exercise),
            route("POST", f"{_EXERCISE}/", self.exercise),
            route("GET", _REQUEST, self.status),
            route("DELETE", _REQUEST, self.revoke),
        ]

    async def enrol(self, request: Request, body: bytes) -> Response:
        """Pair-wise key setup (2.05)."""
        agent_id = request.path_params["agent_id"]
        return JSONResponse({"agent-id": agent_id, "token": await self._agents.enrol(agent_id, body)})

    async def know(self, request: Request, _body: bytes) -> Response:
        """Agent information (2.06)."""
        agent = await self._caller(request)
        if agent.id != request.path_params["agent_id"]:
            raise DomainError(Reason.AGENT_UNKNOWN)
        return JSONResponse({})

    async def exercise(self, request: Request, body: bytes) -> Response:
        """Data rights exercise (2.01). The same message again is the same request: its id comes from its bytes."""
        agent = await self._caller(request)
        signed = message.opened(body, agent.verify_key)
        claims = message.read(signed)
        message.require_valid(claims, agent.id, self._agents.business_id, self._clock.now())
        wish = exercise.wish(claims, agent.id, verifies=agent.verifies)
        request_id = str(UUID(bytes=hashlib.sha256(signed).digest()[:_UUID_BYTES], version=4))
        opened = await self._dealings.open(
            agent.id, request_id, wish, _callbacks(agent, claims), reference=exercise.reference(claims)
        )
        return JSONResponse(self._words.of(*opened))

    async def status(self, request: Request, _body: bytes) -> Response:
        """Data rights status (2.02)."""
        dealing = await self._own(request, await self._caller(request))
        return JSONResponse(self._words.of(dealing, await self._dealings.status(dealing)))

    async def revoke(self, request: Request, body: bytes) -> Response:
        """Data rights revoke (2.04). The reason that a person may give is not kept."""
        agent = await self._caller(request)
        claims = message.read(message.opened(body, agent.verify_key))
        message.text(claims, "reason", 2000)
        dealing = await self._own(request, agent)
        return JSONResponse(self._words.of(dealing, await self._dealings.withdraw(dealing)))

    async def _caller(self, request: Request) -> Agent:
        return await self._agents.caller(request.headers.get("authorization", ""))

    async def _own(self, request: Request, agent: Agent) -> Dealing:
        """A request of this agent: of another's it learns as little as of none (2.02.1)."""
        dealing = await self._dealings.find(DOOR, agent.id, request.path_params["request_id"])
        if dealing is None:
            raise DomainError(Reason.REQUEST_NOT_FOUND)
        return dealing


def _callbacks(agent: Agent, claims: message.Claims) -> list[Callback]:
    url = exercise.callback(claims)
    if url and not agent.may_be_told_at(url):
        raise message.invalid("status_callback", "must be https at a host that the agent has registered")
    return [Callback(url)] if url else []


def refusal(error: DomainError, path: str) -> Response:
    """Section 3.06; a failed key setup is 403 without a body (2.05.1)."""
    status = _FORBIDDEN if error.reason in _FORBIDDEN_REASONS else problem.status(error)
    headers = dict(problem.headers(error))
    if path == _AGENT:
        known = error.reason in _FATAL
        return Response(status_code=_FORBIDDEN if known else status, headers=headers)
    broken = [f"{one.field} {one.description}" for one in error.violations]
    said = {"code": str(status), "message": " ".join([error.public.text, *broken])}
    return JSONResponse(said | ({"fatal": True} if error.reason in _FATAL else {}), status, headers)
