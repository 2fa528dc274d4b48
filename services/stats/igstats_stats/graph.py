"""HTTP to the Graph API: one host, no token in a log, retries of what is transient, no call while blocked."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import aiohttp
from igstats_kit.clock import Clock
from yarl import URL

from igstats_stats.errors import refused, throttled, token_dead, unavailable
from igstats_stats.telemetry import INSTAGRAM_CALLS
from igstats_stats.verdicts import GraphError, Usage, Verdict, graph_error, usage, verdict

ATTEMPTS = 4
DEFAULT_REGAIN_MINUTES = 60  # where Instagram names none: its shortest window is a rolling hour
_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_TOO_MANY = 429
_BODY_LIMIT = 16 * 1024 * 1024
_CHUNK = 64 * 1024
_LONGEST_PAUSE = 8.0
_random = secrets.SystemRandom()


class Pause(Protocol):
    """Waits so many seconds."""

    async def __call__(self, delay: float, /) -> None:
        """Returns after `delay` seconds."""
        ...


class GraphRefusalError(Exception):
    """An error that the caller must judge: a metric, a permission, a page too large."""

    def __init__(self, reason: Verdict, code: int) -> None:
        self.verdict = reason
        self.code = code
        super().__init__(f"{reason} ({code})")


@dataclass
class Budget:
    """How much of its limits one connection has used, as the last answer said."""

    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class _Reply:
    status: int
    payload: object
    usage: Usage

    @property
    def error(self) -> GraphError | None:
        """What went wrong, None for an answer."""
        found = graph_error(self.payload)
        return GraphError(code=self.status) if found is None and self.status >= _CLIENT_ERROR else found


def backoff(attempt: int) -> float:
    """Seconds before attempt `attempt` + 1: exponential with full jitter, so that callers do not come back together."""
    return _random.uniform(0.0, min(_LONGEST_PAUSE, 0.5 * 2**attempt))


class GraphClient:
    """Calls of all connections. `app_blocked_until` stops them all: the app's own limit is shared."""

    def __init__(self, session: aiohttp.ClientSession, url: str, clock: Clock, *, version: str, pause: Pause) -> None:
        self.app_blocked_until: datetime | None = None
        self._session = session
        self._root = URL(url) / version
        self._clock = clock
        self._pause = pause

    async def call(self, access_token: str, path: str, parameters: Mapping[str, str], budget: Budget) -> object:
        """Asks for `path` below the configured host and version.

        Raises:
            GraphRefusalError: The caller must judge it.
            DomainError: INSTAGRAM_TOKEN_DEAD, INSTAGRAM_THROTTLED or INSTAGRAM_UNAVAILABLE.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._pause(backoff(attempt))
            self._require_open(budget)
            reply = await self._exchange(access_token, path, parameters)
            INSTAGRAM_CALLS.labels(outcome=_outcome(reply)).inc()
            if reply is None:
                continue
            budget.usage = reply.usage
            if reply.error is None:
                return reply.payload
            if not self._is_transient(reply, reply.error):
                self._refuse(reply, reply.error)
        raise unavailable()

    def _require_open(self, budget: Budget) -> None:
        """Refuses to call while blocked or nearly so: calls while blocked prolong the block."""
        now = self._clock.now()
        if self.app_blocked_until is not None and now < self.app_blocked_until:
            raise throttled(max(1, round((self.app_blocked_until - now).total_seconds() / 60)))
        if budget.usage.stop:
            raise throttled(budget.usage.regain_minutes or DEFAULT_REGAIN_MINUTES)

    async def _exchange(self, access_token: str, path: str, parameters: Mapping[str, str]) -> _Reply | None:
        """One HTTP exchange; None when it failed. Redirects are not followed: the token stays with one host.

        Addresses hold the token, so nothing that a transport error says is passed on.
        """
        query = {**parameters, "access_token": access_token}
        try:
            async with self._session.get(self._root / path, params=query, allow_redirects=False) as response:
                body = await _read(response)
                return _Reply(response.status, _parse(body), usage(response.headers))
        except (aiohttp.ClientError, TimeoutError):
            return None

    @staticmethod
    def _is_transient(reply: _Reply, error: GraphError) -> bool:
        unexplained = graph_error(reply.payload) is None and reply.status >= _SERVER_ERROR
        return unexplained or verdict(error) is Verdict.RETRY

    def _refuse(self, reply: _Reply, error: GraphError) -> None:
        regain = reply.usage.regain_minutes or DEFAULT_REGAIN_MINUTES
        match _verdict(error):
            case Verdict.TOKEN_DEAD:
                raise token_dead()
            case Verdict.BLOCK_APP:
                self.app_blocked_until = self._clock.now() + timedelta(minutes=regain)
                raise throttled(regain)
            case Verdict.BLOCK_ACCOUNT:
                raise throttled(regain)
            case Verdict.REFUSED:
                raise refused(error.code)
            case other:
                raise GraphRefusalError(other, error.code)


def _outcome(reply: _Reply | None) -> str:
    """What the metric calls it: answered, failed (no answer), or the verdict on the error."""
    if reply is None:
        return "failed"
    return "answered" if reply.error is None else _verdict(reply.error).lower()


def _verdict(error: GraphError) -> Verdict:
    return Verdict.BLOCK_ACCOUNT if error.code == _TOO_MANY else verdict(error)


def _parse(body: bytes) -> object:
    """The JSON of a body; None for the HTML pages that proxies send."""
    try:
        return json.loads(body)
    except ValueError:
        return None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise aiohttp.ClientPayloadError("the answer is too large")
    return bytes(body)
