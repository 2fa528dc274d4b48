"""The logs over HTTP: /log/evidence and /log/access are prefixes as C2SP tlog-tiles wants them, open to everybody.

Reading them leaves no access record: a log that grew by being read would never be read to its end, and who checks us
is nobody's business. Calls are counted, and limited by address.
"""

import hashlib
from collections.abc import Mapping, Sequence

from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send
from ulid import ULID

from igstats_gateway import problem
from igstats_gateway.limits import AddressLimits, fields, require_granted
from igstats_gateway.log_files import LOGS, TEXTS, LogFiles
from igstats_gateway.messages import encode
from igstats_gateway.model import LogFile
from igstats_gateway.telemetry import PUBLIC_CALLS

_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_VERBS = ("GET", "HEAD")

_log = get_logger()


class LogFace:
    """Serves the files."""

    def __init__(self, files: LogFiles, limits: AddressLimits) -> None:
        self._files = files
        self._limits = limits

    def routes(self) -> Sequence[BaseRoute]:
        """The paths."""
        return [Route("/log/{log}/{path:path}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive)
        log = request.path_params["log"]
        call_id = f"req_{ULID()}".lower()
        known: dict[str, str] = {"request-id": call_id}
        reason = ""
        try:
            spending = self._limits.spend(request.client.host if request.client else "")
            known |= fields(spending)
            require_granted(spending)
            _require_reading(request.method)
            file = await self._files.read(log, request.path_params["path"], call_id)
            response = _answer(request, file, known)
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a typed answer
            refused = _typed(error, call_id)
            reason, response = refused.reason, _failed(refused, call_id, known)
        PUBLIC_CALLS.labels(method=f"/log/{log}" if log in LOGS else "unknown", protocol="http", reason=reason).inc()
        await response(scope, receive, send)


def _require_reading(verb: str) -> None:
    if verb not in _VERBS:
        raise DomainError(Reason.METHOD_UNKNOWN, allow=", ".join(_VERBS))


def _answer(request: Request, file: LogFile, known: Mapping[str, str]) -> Response:
    tag = f'"{hashlib.sha256(file.content).hexdigest()[:32]}"'
    cache = _FOREVER if file.immutable else _ASK_AGAIN
    headers = {**known, "etag": tag, "cache-control": cache, "x-content-type-options": "nosniff"}
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    text = request.path_params["path"] in TEXTS
    return Response(file.content, 200, headers, "text/plain" if text else "application/octet-stream")


def _has(given: str, tag: str) -> bool:
    """Whether a list of entity tags names this one, or any."""
    return any(one.strip().removeprefix("W/") in {tag, "*"} for one in given.split(","))


def _typed(error: Exception, call_id: str) -> DomainError:
    if isinstance(error, DomainError) and error.reason is not Reason.INTERNAL:
        return error
    _log.error("log file not served", call_id=call_id, exc_info=error)
    return DomainError(Reason.INTERNAL)


def _failed(error: DomainError, call_id: str, known: Mapping[str, str]) -> Response:
    headers = {**known, "cache-control": "no-store", **problem.headers(error)}
    body = encode(problem.problem(error, call_id))
    return Response(body, problem.status(error), headers, problem.MEDIA_TYPE)
