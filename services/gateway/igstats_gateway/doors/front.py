"""What every page and callback of a door goes through: limits by address, size, origin, and errors as answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qsl

from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.log import get_logger
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from ulid import ULID

from igstats_gateway import problem
from igstats_gateway.doors import language, words
from igstats_gateway.doors.rendering import Pages
from igstats_gateway.limits import AddressLimits, require_granted
from igstats_gateway.messages import encode
from igstats_gateway.telemetry import PUBLIC_CALLS

MOST_BYTES = 64 * 1024
_MOST_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"
_SAME = frozenset({"same-origin", "none"})

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
Failed: TypeAlias = Callable[[Request, DomainError, str], Response]

_log = get_logger()


@dataclass(frozen=True)
class Limits:
    """Allowances of addresses: for looking, and for sending something in."""

    looks: AddressLimits
    sends: AddressLimits

    def spend(self, request: Request) -> None:
        """Takes one unit of the address's allowance.

        Raises:
            DomainError: RATE_LIMITED.
        """
        chosen = self.sends if request.method == "POST" else self.looks
        require_granted(chosen.spend(request.client.host if request.client else ""))


class Front:
    """Makes routes of endpoints. An endpoint raises DomainErrors; whatever else it raises becomes INTERNAL."""

    def __init__(self, limits: Limits, pages: Pages) -> None:
        self._limits = limits
        self.pages = pages

    def page(self, path: str, endpoint: Endpoint, *methods: str) -> BaseRoute:
        """A page for persons: a form is taken from our own pages only, and errors are pages too."""
        return Route(path, self._served(path, endpoint, self._as_page, own=True), methods=list(methods or ("GET",)))

    def callback(self, path: str, endpoint: Endpoint) -> BaseRoute:
        """What another machine posts to; errors are problem details."""
        return Route(path, self._served(path, endpoint, as_problem, own=False), methods=["POST"])

    def _served(self, path: str, endpoint: Endpoint, failed: Failed, *, own: bool) -> Endpoint:
        name = path.replace("{code}", "code").replace("{link}", "link")

        async def answer(request: Request) -> Response:
            call_id, reason = f"req_{ULID()}".lower(), ""
            language.hear(request.headers.get("accept-language", ""))
            try:
                self._limits.spend(request)
                if own:
                    require_own(request)
                response = await endpoint(request)
            except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a typed answer
                known = typed(error, name, call_id)
                reason, response = known.reason, failed(request, known, call_id)
            PUBLIC_CALLS.labels(method=name, protocol="http", reason=reason).inc()
            response.headers["request-id"] = call_id
            return response

        return answer

    def _as_page(self, request: Request, error: DomainError, call_id: str) -> Response:
        """An error for a person."""
        code, say = request.path_params.get("code", ""), language.heard()
        unknown = error.reason is Reason.STATUS_CODE_UNKNOWN or not code
        text, fix = words.failure(error, say)
        return self.pages.page(
            "problem",
            problem.status(error),
            {name: value for name, value in problem.headers(error).items() if name != "www-authenticate"},
            title=text.rstrip("."),
            text=" ".join(filter(None, (fix, words.details(error, say)))),
            typed=(),
            reason=error.reason,
            call_id=call_id,
            back="/privacy" if unknown else f"/privacy/requests/{code}",
            back_text=say("frame.start") if unknown else say("frame.back"),
        )


def is_own(headers: Mapping[str, str]) -> bool:
    """Whether a form comes from our own pages, as far as the browser says it.

    Sec-Fetch-Site decides where it is sent; else Origin must be the host that was asked; who sends neither is no
    browser that could be misled. No form counts on a cookie: a foreign page could only borrow its visitor's address.
    """
    site = headers.get("sec-fetch-site", "")
    if site:
        return site in _SAME
    origin = headers.get("origin", "")
    return not origin or origin.partition("://")[2].lower() == headers.get("host", "").lower()


def require_own(request: Request) -> None:
    """Refuses forms of foreign pages.

    Raises:
        DomainError: FIELD_INVALID.
    """
    if request.method == "POST" and not is_own(request.headers):
        violation = Violation("origin", "the form must be sent from our own page")
        raise DomainError(Reason.FIELD_INVALID, violations=[violation])


async def form(request: Request) -> dict[str, str]:
    """The fields of a form, each trimmed; of two with one name the last counts.

    Raises:
        DomainError: BODY_INVALID, MESSAGE_TOO_LARGE.
    """
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if kind != _FORM:
        raise DomainError(Reason.BODY_INVALID, violations=[Violation("content-type", f"must be {_FORM}")])
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise DomainError(Reason.MESSAGE_TOO_LARGE, limit_bytes=str(MOST_BYTES))
    return fields(bytes(body))


def fields(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded body.

    Raises:
        DomainError: BODY_INVALID.
    """
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise DomainError(Reason.BODY_INVALID, violations=[Violation("body", "is not a form")]) from error
    return {name: value.replace("\x00", "").strip() for name, value in pairs}


def typed(error: Exception, name: str, call_id: str) -> DomainError:
    """The error as a stranger may see it."""
    if isinstance(error, DomainError) and error.reason is not Reason.INTERNAL:
        return error
    _log.error("door failed", method=name, call_id=call_id, exc_info=error)
    return DomainError(Reason.INTERNAL)


def as_problem(_request: Request, error: DomainError, call_id: str) -> Response:
    """An error for a machine."""
    headers = {"cache-control": "no-store", **problem.headers(error)}
    return Response(encode(problem.problem(error, call_id)), problem.status(error), headers, problem.MEDIA_TYPE)
