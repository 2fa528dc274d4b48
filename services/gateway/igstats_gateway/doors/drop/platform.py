"""DROP by HTTP: download, upload, amend."""

import json
from dataclasses import dataclass

import aiohttp

_READY, _PREPARING = 200, 202  # 202 also says that an upload was taken
_BAD, _CONFLICT, _THROTTLED, _SERVER = 400, 409, 429, 500
_THROTTLE_SECONDS, _PREPARING_SECONDS, _BROKEN_SECONDS, _REFUSED_SECONDS = 30.0, 60.0, 300.0, 3600.0
_LONGEST_SECONDS = 3600.0
_MOST_BYTES = 256 * 1024 * 1024
_AGAIN = "already uploaded"


class DropWaitsError(Exception):
    """DROP cannot do it now; `seconds` says when to ask again, `why` in a word."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.why, self.seconds = why, seconds


class OutOfStepError(Exception):
    """DROP and we do not agree on whether a download waits for answers (409)."""


@dataclass(frozen=True)
class File:
    """A file of answers."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Taken:
    """What became of an upload: files that DROP has now, those that it had before, and those that it refused."""

    accepted: frozenset[str]
    known: frozenset[str]
    refused: frozenset[str]


class Platform:
    """DROP, with our key. The key goes to this address only; no redirect is followed."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {"X-API-KEY": key}

    async def download(self) -> bytes | None:
        """The archive of the lists; None when there is nothing new.

        Raises:
            DropWaitsError: It is being prepared, or DROP has a bad day.
            OutOfStepError: DROP waits for the answers to an earlier download.
        """
        status, kind, body = await self._call("GET", "download")
        if status != _READY:
            raise DropWaitsError(f"status {status}", _REFUSED_SECONDS)
        return None if kind == "application/json" else body

    async def upload(self, file: File) -> Taken:
        """Hands in answers.

        Raises:
            DropWaitsError: Not now.
            OutOfStepError: DROP waits for no answers.
        """
        return await self._send("upload", file)

    async def amend(self, file: File) -> Taken:
        """Corrects answers. Raises as `upload` does."""
        return await self._send("amend", file)

    async def _send(self, path: str, file: File) -> Taken:
        form = aiohttp.FormData()
        form.add_field("files", file.content, filename=file.name, content_type="text/csv")
        status, _, body = await self._call("POST", path, form)
        if status not in (_PREPARING, _BAD):
            raise DropWaitsError(f"status {status}", _REFUSED_SECONDS)
        return _taken(body)

    async def _call(self, method: str, path: str, form: aiohttp.FormData | None = None) -> tuple[int, str, bytes]:
        url = f"{self._url}/data/{path}"
        try:
            async with self._session.request(
                method, url, data=form, headers=self._headers, allow_redirects=False
            ) as answer:
                _require_calm(answer)
                return answer.status, answer.content_type, await _read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise DropWaitsError("unreachable", _BROKEN_SECONDS) from None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _MOST_BYTES:
            raise DropWaitsError("too large", _REFUSED_SECONDS)
    return bytes(body)


def _require_calm(answer: aiohttp.ClientResponse) -> None:
    """Ends an exchange that is to be had again later."""
    if answer.status == _CONFLICT:
        raise OutOfStepError
    if answer.status == _THROTTLED:
        raise DropWaitsError("throttled", _asked(answer, _THROTTLE_SECONDS))
    if answer.status >= _SERVER:
        raise DropWaitsError("broken", _asked(answer, _BROKEN_SECONDS))
    if answer.status == _PREPARING and answer.method == "GET":
        raise DropWaitsError("preparing", _asked(answer, _PREPARING_SECONDS))


def _asked(answer: aiohttp.ClientResponse, seconds: float) -> float:
    """How long DROP asks us to wait, in reason."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_SECONDS) if asked.isdecimal() else seconds


def _taken(body: bytes) -> Taken:
    """What an answer says of each file.

    Raises:
        DropWaitsError: It says nothing that can be read.
    """
    try:
        found = json.loads(body)
        accepted = frozenset(one["fileName"] for one in found["accepted"])
        refused = {one["fileName"]: one["message"] for one in found["rejected"]}
        known = frozenset(name for name, why in refused.items() if _AGAIN in why)
    except (ValueError, TypeError, KeyError):
        raise DropWaitsError("unreadable answer", _BROKEN_SECONDS) from None
    return Taken(accepted, known, frozenset(refused) - known)
